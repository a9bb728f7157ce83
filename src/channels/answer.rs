//! Answering: what waits in a conversation is taken in order, one transaction at a time, and its answers wait to be sent in the same
//! transaction that says that it was answered. The conversation's row is the lane: any number of processes may try.

use super::Channels;
use super::greeting;
use super::opting;
use super::standing::Standing;
use crate::db::DbError;
use crate::db::tenant::schedules::recipients;
use crate::db::tenant::{Access, TenantDb, contacts, inbound, messages, outbox};
use crate::domain::ids::{ConversationId, InstanceId, MessageId};

/// Answers what waits in a conversation; how many messages are to be sent now.
///
/// # Errors
/// When a database fails; what waits waits on.
pub(super) async fn answer(
    channels: &Channels,
    db: &TenantDb,
    standing: &Standing,
    instance: InstanceId,
    conversation: ConversationId,
) -> Result<usize, DbError> {
    let speaks = standing.speaks(channels).await?;
    let now = channels.clock.now();
    let lane = (
        inbound::lock(conversation),
        inbound::list_waiting(instance, conversation),
    );
    let (tx, reply) = db.begin(&Access::system(now), lane).await?;
    let (Some(lane), waiting) = reply.output else {
        return tx.rollback().await.map(|()| 0);
    };
    if waiting.is_empty() {
        return tx.rollback().await.map(|()| 0);
    }
    let silent = !speaks || !lane.is_active || lane.bot_paused_until.is_some_and(|until| until > now);
    let mut earlier = !lane.first;
    let mut out = lane.opted_out;
    let mut said = Vec::new();
    for heard in &waiting {
        match opting::wants_out(heard) {
            // Said again, it needs no answer of its own.
            Some(wish) if wish != out => {
                out = wish;
                said.push(opting::confirm(out));
            }
            _ => said.extend(greeting::answer(&lane, heard, earlier)),
        }
        earlier = true;
    }
    let opted = (out != lane.opted_out).then(|| contacts::set_opted_out(lane.contact, out, now));
    let taken_back = out.then(|| recipients::take_back(lane.contact, now));
    if silent {
        said.clear();
    }
    let answers = said.len();
    let written: Vec<_> = said
        .into_iter()
        .map(|said| {
            let id = MessageId::new();
            (
                messages::insert_said(id, conversation, said, now),
                outbox::insert_message(id, conversation, now),
            )
        })
        .collect();
    let heard = waiting.iter().map(|heard| heard.id).collect();
    crate::kill_point!("channels.before_answer");
    tx.commit((written, opted, taken_back, inbound::set_processed(heard, now)))
        .await?;
    crate::kill_point!("channels.answered");
    Ok(answers)
}
