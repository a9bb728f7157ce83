//! Messages that are said later. Each moment of one is decided once: its row is locked, and the decision, the message, its line of the
//! outbox and the row's next moment are one statement.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::stored;
use crate::db::DbError;
use crate::db::tenant::access::Access;
use crate::db::tenant::outbox::MOST_ATTEMPTS;
use crate::db::tenant::query::{Columns, Query};
use crate::db::tenant::text::{lock_row, tell_message};
use crate::domain::ids::{ContactId, ConversationId, InstanceId, MessageId, ScheduledMessageId};
use crate::domain::message_variables::Variables;
use crate::domain::page::{Cursor, Limit};
use crate::domain::recurrence::Recurrence;
use crate::domain::scheduled_message::{ScheduledMessage, SkipReason};

macro_rules! columns {
    () => {
        "id, conversation_id, body, variables, time_zone, recurrence, state, next_at, told, last_at, last_outcome, last_reason, \
         last_message_id, version, created_at, updated_at"
    };
}

fn read(mut row: Columns<'_>) -> Result<ScheduledMessage, DbError> {
    Ok(ScheduledMessage {
        id: ScheduledMessageId::from_uuid(row.next()?),
        conversation_id: ConversationId::from_uuid(row.next()?),
        body: row.next()?,
        variables: stored(row.next()?)?,
        time_zone: row.next()?,
        recurrence: row.next::<Option<Value>>()?.map(stored).transpose()?,
        state: row.next()?,
        next_at: row.next()?,
        told: row.next()?,
        last_at: row.next()?,
        last_outcome: row.next()?,
        last_reason: row.next()?,
        last_message_id: row.next::<Option<Uuid>>()?.map(MessageId::from_uuid),
        version: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
    })
}

/// What is said, and when.
#[derive(Clone)]
pub struct Planned {
    /// The words.
    pub body: String,
    /// What fills them.
    pub variables: Variables,
    /// The zone whose clock counts.
    pub time_zone: String,
    /// When again.
    pub recurrence: Option<Recurrence>,
    /// When first.
    pub next_at: DateTime<Utc>,
}

fn bound<T: 'static>(query: Query<T>, planned: Planned) -> Query<T> {
    query
        .bind(planned.body)
        .bind(json!(planned.variables))
        .bind(planned.time_zone)
        .bind(planned.recurrence.map(|recurrence| json!(recurrence)))
        .bind(planned.next_at)
}

const INSERT: &str = concat!(
    "insert into scheduled_messages (id, conversation_id, user_id, body, variables, time_zone, recurrence, state, next_at, ",
    "created_at, updated_at) select $1, $2, (select s.user_id from sessions s where s.token_hash = $3), ",
    "$5, $6, $7, $8, 'scheduled', $9, $4, $4 from (values (true)) as request (one) returning ",
    columns!()
);

/// Adds a message to be said in a conversation, in the name of the user who asks. Constraint
/// `scheduled_messages_conversation_id_fkey` refuses a conversation that there is not.
pub fn insert(
    id: ScheduledMessageId,
    conversation: ConversationId,
    planned: Planned,
    access: &Access,
) -> Query<ScheduledMessage> {
    let session = access.session().map(|hash| hash.as_bytes().to_vec());
    let query = Query::one(INSERT, read)
        .bind(id.as_uuid())
        .bind(conversation.as_uuid())
        .bind(session)
        .bind(access.now());
    bound(query, planned)
}

/// The conversation that a bot holds with a contact; of several the one of the latest word.
pub fn find_conversation(contact: ContactId, instance: InstanceId) -> Query<Option<ConversationId>> {
    Query::optional(
        "select id from conversations where contact_id = $1 and instance_id = $2 order by last_message_at desc, id desc limit 1",
        |mut row| Ok(ConversationId::from_uuid(row.next()?)),
    )
    .bind(contact.as_uuid())
    .bind(instance.as_uuid())
}

/// One of them.
pub fn find(id: ScheduledMessageId) -> Query<Option<ScheduledMessage>> {
    const FIND: &str = concat!("select ", columns!(), " from scheduled_messages where id = $1");
    Query::optional(FIND, read).bind(id.as_uuid())
}

/// Newest first, perhaps only those in this state or of this conversation; one more than the page holds. Ids are in the order of making.
pub fn list(
    state: Option<&'static str>,
    conversation: Option<ConversationId>,
    after: Option<Cursor>,
    limit: Limit,
) -> Query<Vec<ScheduledMessage>> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from scheduled_messages where ($1::text is null or state = $1) and ($2::uuid is null or conversation_id = $2) ",
        "and ($3::uuid is null or id < $3) order by id desc limit $4"
    );
    Query::narrowed(LIST, read)
        .bind(state)
        .bind(conversation.map(ConversationId::as_uuid))
        .bind(after.map(|cursor| cursor.id))
        .bind(limit.rows())
}

/// Locks one, refusing when there is none or when it has another version.
pub fn lock(id: ScheduledMessageId, version: Option<i32>) -> Query<u64> {
    Query::execute(lock_row!("scheduled_messages"))
        .bind(id.as_uuid())
        .bind(version)
}

/// Refuses with [`crate::db::Refusal::State`] one that is in none of these states. Runs after [`lock`].
pub fn require_state(id: ScheduledMessageId, states: Vec<&'static str>) -> Query<u64> {
    Query::execute(
        "select case when state = any ($2) then 0 else helixai.refuse('HX412') end from scheduled_messages where id = $1",
    )
    .bind(id.as_uuid())
    .bind(states)
}

const UPDATE: &str = concat!(
    "update scheduled_messages set body = $3, variables = $4, time_zone = $5, recurrence = $6, next_at = $7, ",
    "restored = false, version = version + 1, updated_at = $2 where id = $1 returning ",
    columns!()
);

/// Says something else, or at another time. Runs after [`lock`] and [`require_state`].
pub fn update(id: ScheduledMessageId, planned: Planned, now: DateTime<Utc>) -> Query<ScheduledMessage> {
    bound(Query::one(UPDATE, read).bind(id.as_uuid()).bind(now), planned)
}

/// Takes one back; again, that changes nothing. Runs after [`lock`] and [`require_state`].
pub fn cancel(id: ScheduledMessageId, now: DateTime<Utc>) -> Query<u64> {
    Query::execute(
        "update scheduled_messages set state = 'canceled', next_at = null, version = version + 1, updated_at = $2 \
         where id = $1 and state = 'scheduled'",
    )
    .bind(id.as_uuid())
    .bind(now)
}

/// After a restore: what is to come is said as it was planned. What is due already is passed over when it is decided.
pub fn keep_to_come(now: DateTime<Utc>) -> Query<u64> {
    Query::execute("update scheduled_messages set restored = false where restored and next_at > $1").bind(now)
}

/// Something that is due. It has no `Debug`: it is personal data.
#[derive(Clone)]
pub struct Due {
    /// Which.
    pub id: ScheduledMessageId,
    /// The words.
    pub body: String,
    /// What fills them.
    pub variables: Variables,
    /// The zone whose clock counts.
    pub time_zone: String,
    /// When again.
    pub recurrence: Option<Recurrence>,
    /// When it was to be said.
    pub at: DateTime<Utc>,
    /// How often it was said.
    pub told: i32,
    /// It was due before anybody looked after a restore.
    pub restored: bool,
    /// Of the contact.
    pub name: Option<String>,
    /// A bot holds the conversation.
    pub has_bot: bool,
}

/// Locks what is due at `now`, what has waited longest first.
pub fn lock_due(now: DateTime<Utc>, limit: i64) -> Query<Vec<Due>> {
    let lock = Query::all(
        "select s.id, s.body, s.variables, s.time_zone, s.recurrence, s.next_at, s.told, s.restored, k.name, i.id is not null \
         from scheduled_messages s join conversations c on c.id = s.conversation_id join contacts k on k.id = c.contact_id \
         left join instances i on i.id = c.instance_id and i.deleted_at is null \
         where s.state = 'scheduled' and s.next_at <= $1 order by s.next_at, s.id limit $2 for update of s",
        |mut row| {
            Ok(Due {
                id: ScheduledMessageId::from_uuid(row.next()?),
                body: row.next()?,
                variables: stored(row.next()?)?,
                time_zone: row.next()?,
                recurrence: row.next::<Option<Value>>()?.map(stored).transpose()?,
                at: row.next()?,
                told: row.next()?,
                restored: row.next()?,
                name: row.next()?,
                has_bot: row.next()?,
            })
        },
    );
    lock.bind(now).bind(limit)
}

/// What was decided about a moment. It has no `Debug`: it is personal data.
#[derive(Clone)]
pub struct Decided {
    /// Of which.
    pub id: ScheduledMessageId,
    /// The moment.
    pub at: DateTime<Utc>,
    /// The message and its words, or why there is none.
    pub said: Result<(MessageId, String), SkipReason>,
    /// When it is due again; `None`: never.
    pub next_at: Option<DateTime<Utc>>,
}

const DECIDE: &str = concat!(
    "\
with given as (
    select g.id, g.at, g.message_id, g.body, g.reason, g.next_at from jsonb_to_recordset($1)
        as g (id uuid, at timestamptz, message_id uuid, body text, reason text, next_at timestamptz)
), said as (
    insert into messages (id, conversation_id, instance_id, direction, author, user_id, kind, body, status, created_at)
    select g.message_id, c.id, c.instance_id, 'outbound', case when s.user_id is null then 'bot' else 'user' end, s.user_id, 'text',
        g.body, 'queued', $2
    from given g join scheduled_messages s on s.id = g.id join conversations c on c.id = s.conversation_id
    where g.message_id is not null
    on conflict on constraint messages_pkey do nothing
    returning id, conversation_id, instance_id, direction, author, status
), lines as (
    insert into outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at)
    select id, 'send_message', jsonb_build_object('message_id', id, 'conversation_id', conversation_id), 'pending', $2, $3, $2, $2
    from said on conflict on constraint outbox_pkey do nothing
), talked as (
    update conversations c set last_message_at = greatest(c.last_message_at, $2), updated_at = $2
    from said where c.id = said.conversation_id
), moved as (
    update scheduled_messages s set state = case when g.next_at is null then 'done' else 'scheduled' end, next_at = g.next_at,
        told = s.told + case when g.message_id is null then 0 else 1 end, last_at = g.at, last_message_id = g.message_id,
        last_outcome = case when g.message_id is null then 'skipped' else 'queued' end, last_reason = g.reason, restored = false,
        version = s.version + 1, updated_at = $2
    from given g where s.id = g.id
)
select helixai.wake_channel(b.instance_id), (select count(",
    tell_message!("message.created", "said"),
    ") from said) from (select distinct instance_id from said) b"
);

/// Says what was decided, or notes why not, and when each is due again; wakes the bots. Runs after [`lock_due`].
pub fn decide(decided: Vec<Decided>, now: DateTime<Utc>) -> Query<u64> {
    let rows = decided.into_iter().map(|one| {
        let (message, reason) = match one.said {
            Ok(message) => (Some(message), None),
            Err(reason) => (None, Some(reason)),
        };
        let (message_id, body) = message.unzip();
        json!({
            "id": one.id, "at": one.at, "message_id": message_id, "body": body, "reason": reason, "next_at": one.next_at,
        })
    });
    Query::execute(DECIDE)
        .bind(Value::Array(rows.collect()))
        .bind(now)
        .bind(MOST_ATTEMPTS)
}
