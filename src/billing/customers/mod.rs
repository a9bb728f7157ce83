//! What falls due for a tenant's own customers by the calendar: the dues of their months, and the reminders before and after.
//!
//! It is done by local date in the tenant's time zone, one tenant at a time, when the tenant's clock
//! ([`crate::db::tenant::customers::clock`]) is due: the shard's `due_work` says of which tenants it is, so nobody is asked in vain.
//!
//! - Each month of a customer is made once: `dues_customer_id_month_key` refuses a second due, whoever makes it.
//! - Each step of a due is decided once (`reminders_pkey`), in the transaction that puts the message into the outbox, with the due
//!   locked and open. Who pays it afterwards takes back what has not been sent, in the transaction of the payment.
//! - Work is done in pages, each one transaction. Killed anywhere, whoever comes next goes on: what is done is not found again.

mod monthly;
mod reminding;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::db::DbError;
use crate::db::tenant::customers::clock;
use crate::db::tenant::{Access, TenantDb, settings};
use crate::domain::ids::TenantId;
use crate::domain::month::start_of_day;
use crate::domain::settings::Settings;

pub use crate::db::tenant::customers::clock::KIND;

/// Nobody is reminded before this hour of the day.
const SENT_FROM: TimeDelta = TimeDelta::hours(8);
/// The hours after midnight over which tenants are spread, so that not all of them are due at one moment.
const SPREAD: TimeDelta = TimeDelta::hours(5);

/// A tenant, as its customers' clock needs to know it.
pub struct Customers<'a> {
    /// Which.
    pub tenant: TenantId,
    /// How it is called in the registry.
    pub name: &'a str,
    /// Its schema.
    pub db: &'a TenantDb,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Dues of months that were made.
    pub dues: u64,
    /// Steps of dues that were decided.
    pub reminders: u64,
    /// When the tenant is due again; `None` until something wakes its clock.
    pub next: Option<DateTime<Utc>>,
}

/// A day of a tenant.
struct Day<'a> {
    db: &'a TenantDb,
    access: Access,
    now: DateTime<Utc>,
    today: NaiveDate,
    settings: Settings,
}

impl Customers<'_> {
    /// Does what is due, unless the clock rests. May be asked at any time, as often as one likes, and by several at once.
    ///
    /// # Errors
    /// When the tenant's schema cannot be used; what was done until then is done, and the rest is due still.
    pub async fn work(&self, now: DateTime<Utc>) -> Result<Done, DbError> {
        let access = Access::system(now);
        let ask = (clock::next(), settings::find_all());
        let (seen, stored) = self.db.run(&access, ask).await?.output;
        let Some(seen) = seen else {
            return Ok(Done::default());
        };
        let settings = Settings::of(self.name, &stored.values);
        let today = settings.today(now);
        let next = self.next(&settings, today);
        let day = Day {
            db: self.db,
            access,
            now,
            today,
            settings,
        };
        let dues = monthly::make(&day).await?;
        crate::kill_point!("customers.dues_made");
        let reminders = reminding::decide(&day).await?;
        crate::kill_point!("customers.reminded");
        let finish = clock::finish(seen, next, today, now);
        let next = self.db.run(&day.access, finish).await?.output;
        Ok(Done {
            dues,
            reminders,
            next,
        })
    }

    /// Early on the next day, each tenant at its own moment.
    fn next(&self, settings: &Settings, today: NaiveDate) -> DateTime<Utc> {
        let tomorrow = today.succ_opt().unwrap_or(today);
        let own = self.tenant.lock_key().rem_euclid(SPREAD.num_seconds());
        start_of_day(tomorrow, settings.time_zone.tz()) + TimeDelta::seconds(own)
    }
}
