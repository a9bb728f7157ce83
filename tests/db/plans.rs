//! The inbox at size: its pages are read along an index, the first and all later ones, by the statements that are served.

use helixai::db::tenant::conversations::{self, ConversationFilter};
use helixai::db::tenant::customers::reminders;
use helixai::db::tenant::leads::{self, LeadFilter};
use helixai::db::tenant::work::{self, Queue};
use helixai::db::tenant::{contacts, messages};
use helixai::domain::ids::{ContactId, ConversationId};
use helixai::domain::page::{Cursor, Limit};
use tokio_postgres::{Client, SimpleQueryMessage};
use uuid::Uuid;

use crate::helpers::TestPlatform;

/// The conversation in which much was said.
const LONG: &str = "00000000-0000-7000-8000-000000000001";
const PLACE: &str = "'2026-03-01T12:00:00Z', '00000000-0000-7000-8000-000000000500'";

/// A tenant with 3,000 conversations: 20,000 messages in one of them, 10 in each of the others.
async fn busy(test: &TestPlatform) -> Client {
    test.onboard("garage", "cars").await;
    let admin = test.admin().await;
    let id = |number: &str| format!("('00000000-0000-7000-8000-' || lpad(({number})::text, 12, '0'))::uuid");
    let fill = format!(
        "set search_path = tenant_garage, pg_temp;
         insert into contacts (id, name, created_at, updated_at)
         select {one}, 'Contato ' || n, now(), now() from generate_series(1, 3000) n;
         insert into leads (id, name, stage, contact_id, created_at, updated_at)
         select {one}, 'Contato ' || n, 'new', {one}, timestamptz '2026-03-01' + n * interval '1 minute', now()
         from generate_series(1, 3000) n;
         insert into conversations (id, contact_id, channel, status, last_message_at, created_at, updated_at)
         select {one}, {one}, 'telegram', 'open', timestamptz '2026-03-01' + n * interval '1 minute', now(), now()
         from generate_series(1, 3000) n;
         insert into messages (id, conversation_id, direction, author, kind, body, status, created_at)
         select {many}, {of}, 'inbound', 'contact', 'text', 'Oi', 'received',
                timestamptz '2026-03-01' + n * interval '1 second'
         from generate_series(1, 50000) n;
         analyze contacts; analyze leads; analyze conversations; analyze messages",
        one = id("n"),
        many = id("100000 + n"),
        of = id("case when n <= 20000 then 1 else n % 2999 + 2 end"),
    );
    admin.batch_execute(&fill).await.expect("filled");
    admin
}

/// The one plan for all values, which the lanes ask for.
async fn plan(admin: &Client, types: &str, text: &str, values: &str) -> String {
    let all = format!(
        "set plan_cache_mode = force_generic_plan; deallocate all; \
         prepare page ({types}) as {text}; explain execute page ({values})"
    );
    let messages = admin
        .simple_query(&all)
        .await
        .unwrap_or_else(|error| panic!("{all}: {error}"));
    let lines = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) if row.len() == 1 => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_page_of_messages_is_read_along_the_index() {
    let test = TestPlatform::start().await;
    let admin = busy(&test).await;
    let id = ConversationId::from_uuid(LONG.parse().unwrap());
    let cursor = Cursor::new(chrono::Utc::now(), Uuid::nil());
    let limit = Limit::default();
    for (types, text, values) in [
        (
            "uuid, bigint",
            messages::list(id, None, limit).text(),
            format!("'{LONG}', 51"),
        ),
        (
            "uuid, bigint, timestamptz, uuid",
            messages::list(id, Some(cursor), limit).text(),
            format!("'{LONG}', 51, {PLACE}"),
        ),
    ] {
        let plan = plan(&admin, types, text, &values).await;
        assert!(
            plan.contains("Index Scan using messages_conversation_id_created_at_idx"),
            "{plan}"
        );
        assert!(
            !plan.contains("Sort") && !plan.contains("Seq Scan") && !plan.contains("Filter"),
            "{plan}"
        );
    }
}

#[tokio::test]
async fn a_page_of_conversations_is_read_along_the_index() {
    let test = TestPlatform::start().await;
    let admin = busy(&test).await;
    let now = chrono::Utc::now();
    let cursor = Cursor::new(now, Uuid::nil());
    let types = "timestamptz, uuid, bigint, text, text, uuid, boolean, boolean, boolean, timestamptz, text";
    let narrowed = "'open', null, null, false, null, null, now(), null";
    let everything = ConversationFilter::default;
    let of_contact = || ConversationFilter {
        contact: Some(ContactId::from_uuid(LONG.parse().unwrap())),
        ..everything()
    };
    for (after, place) in [(None, "null, null"), (Some(cursor), PLACE)] {
        let text = conversations::list(everything(), now, after, Limit::default()).text();
        let plan_of_all = plan(&admin, types, text, &format!("{place}, 51, {narrowed}")).await;
        assert!(
            plan_of_all.contains("Index Scan using conversations_last_message_at_id_idx"),
            "{plan_of_all}"
        );
        assert!(
            plan_of_all.contains("Index Scan using messages_conversation_id_created_at_idx"),
            "{plan_of_all}"
        );
        assert!(
            !plan_of_all.contains("Seq Scan on conversations"),
            "{plan_of_all}"
        );
        assert!(!plan_of_all.contains("Seq Scan on messages"), "{plan_of_all}");
        let place_is_sought = plan_of_all.contains("Index Cond: (ROW(last_message_at, id) <");
        assert_eq!(place_is_sought, after.is_some(), "{plan_of_all}");

        let text = conversations::list(of_contact(), now, after, Limit::default()).text();
        let values = format!("{place}, 51, {narrowed}, '{LONG}'");
        let plan_of_contact = plan(&admin, &format!("{types}, uuid"), text, &values).await;
        let index = "conversations_contact_id_channel_instance_id_external_id_key";
        assert!(plan_of_contact.contains(index), "{plan_of_contact}");
        assert!(!plan_of_contact.contains("Seq Scan on"), "{plan_of_contact}");
    }
}

#[tokio::test]
async fn a_page_of_people_is_read_along_the_index() {
    let test = TestPlatform::start().await;
    let admin = busy(&test).await;
    let cursor = Cursor::new(chrono::Utc::now(), Uuid::nil());
    for (after, place) in [(None, "null, null"), (Some(cursor), PLACE)] {
        let of_leads = leads::list(LeadFilter::default(), after, Limit::default()).text();
        let types = "text, text, uuid, timestamptz, uuid, bigint";
        let of_leads = plan(
            &admin,
            types,
            of_leads,
            &format!("'new', null, null, {place}, 51"),
        )
        .await;
        let of_contacts = contacts::list(None, after, Limit::default()).text();
        let of_contacts = plan(
            &admin,
            "timestamptz, uuid, bigint",
            of_contacts,
            &format!("{place}, 51"),
        )
        .await;
        for (plan, index) in [
            (of_leads, "leads_created_at_id_idx"),
            (of_contacts, "contacts_created_at_id_idx"),
        ] {
            assert!(plan.contains(&format!("Index Scan using {index}")), "{plan}");
            assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{plan}");
            assert_eq!(
                plan.contains("Index Cond: (ROW(created_at, id) <"),
                after.is_some(),
                "{plan}"
            );
        }
    }
}

/// What is looked for after each turn, and before each page, is found along an index, however much there is.
#[tokio::test]
async fn what_is_due_is_found_along_the_index() {
    let test = TestPlatform::start().await;
    let admin = busy(&test).await;
    let fill = "insert into outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at)
                select gen_random_uuid(), 'send_message', '{}', 'pending', timestamptz '2026-03-01' + n * interval '1 second', 1,
                       now(), now() from generate_series(1, 20000) n;
                insert into jobs (id, kind, payload, state, run_at, max_attempts, created_at, updated_at)
                select gen_random_uuid(), 'sample', '{}', 'queued', timestamptz '2026-03-01' + n * interval '1 second', 1,
                       now(), now() from generate_series(1, 20000) n;
                analyze outbox; analyze jobs;
                insert into customers (id, contact_id, status, created_at, updated_at)
                select id, id, 'active', now(), now() from contacts;
                insert into dues (id, customer_id, kind, description, amount_cents, due_date, status, created_at, updated_at)
                select gen_random_uuid(), c.id, 'single', 'x', 1, date '2026-03-01' + n, 'open', now(), now()
                from customers c, generate_series(1, 10) n;
                analyze customers; analyze dues";
    admin.batch_execute(fill).await.expect("filled");
    let now = chrono::Utc::now();
    let (kinds, worker) = (vec!["send_message", "sample"], Uuid::nil());
    let next = work::next_due(kinds.clone(), now).text();
    let next = plan(
        &admin,
        "text[], timestamptz",
        next,
        "'{send_message,sample}', now()",
    )
    .await;
    let claim = work::claim(Queue::Outbox, worker, kinds, 5, (now, now)).text();
    let types = "uuid, timestamptz, timestamptz, text[], bigint";
    let values = format!("'{worker}', now(), now(), '{{send_message,sample}}', 5");
    let claim = plan(&admin, types, claim, &values).await;
    for plan in [next, claim] {
        assert!(plan.contains("outbox_kind_due_at_idx"), "{plan}");
        assert!(
            !plan.contains("Seq Scan on outbox") && !plan.contains("Seq Scan on jobs"),
            "{plan}"
        );
    }
    let day = "2026-03-05".parse().unwrap();
    let steps = reminders::lock_steps(day, 100, (day, worker)).text();
    let values = format!("'2026-03-05', 100, '2026-03-05', '{worker}'");
    let steps = plan(&admin, "date, bigint, date, uuid", steps, &values).await;
    assert!(steps.contains("dues_due_date_id_idx"), "{steps}");
    assert!(steps.contains("(ROW(due_date, id) <"), "{steps}");
    assert!(!steps.contains("Sort Key: d."), "{steps}");
}
