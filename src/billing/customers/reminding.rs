//! Reminders: in the tenant's words, by e-mail, at an hour at which people are awake.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Day, SENT_FROM};
use crate::db::DbError;
use crate::db::tenant::customers::reminders::{self, Decided, Step};
use crate::domain::message_template::{Filling, Placeholder, uses};
use crate::domain::month::start_of_day;

/// Steps that are decided in one transaction.
const PAGE: i64 = 100;

/// Decides what is to be decided on this day; answers how many steps were new.
pub(super) async fn decide(day: &Day<'_>) -> Result<u64, DbError> {
    let (mut new, mut before) = (0, (NaiveDate::MAX, Uuid::max()));
    loop {
        let lock = reminders::lock_steps(day.today, PAGE, before);
        let (tx, reply) = day.db.begin(&day.access, lock).await?;
        let Some(last) = reply.output.last() else {
            tx.rollback().await?;
            return Ok(new);
        };
        before = (last.owed.due_date, last.due.as_uuid());
        let steps = reply.output.into_iter();
        let decided = steps.map(|step| decide_one(day, step)).collect();
        crate::kill_point!("customers.steps_read");
        let insert = reminders::insert(decided, sent_from(day), day.now);
        new += tx.commit(insert).await?;
    }
}

fn sent_from(day: &Day<'_>) -> DateTime<Utc> {
    let morning = start_of_day(day.today, day.settings.time_zone.tz()) + SENT_FROM;
    morning.max(day.now)
}

/// The message of a step; none for a customer without an address.
fn decide_one(day: &Day<'_>, step: Step) -> Decided {
    let (due, days) = (step.due, step.days);
    let (to, due_date) = (step.owed.email.clone(), step.owed.due_date);
    let filling = step.owed.filling(day.settings.company_name.clone(), day.today);
    let email = to.map(|to| {
        json!({
            "to": to,
            "subject": filling.subject(step.subject.as_deref()),
            "text": filling.fill(&step.body),
            "from_name": day.settings.company_name,
            "reply_to": day.settings.contact_email,
            "language": day.settings.language,
            "once": format!("{}:{days}:{due_date}", step.occasion),
            "due_id": due,
            "with_pix": with_pix(&filling, &step.body),
        })
    });
    Decided { due, days, email }
}

/// The words with a mark that nobody could guess in the place of the PIX, where they ask for one: whoever sends them has one made then,
/// after this transaction.
fn with_pix(filling: &Filling, body: &str) -> Option<Value> {
    uses(body, Placeholder::Pix).then(|| {
        let mark = Uuid::new_v4().to_string();
        let marked = Filling {
            pix: Some(mark.clone()),
            ..filling.clone()
        };
        json!({"mark": mark, "text": marked.fill(body)})
    })
}
