//! `schedules`: what tenants say later. One line in each tenant's `jobs` is due when something may be; it sets itself to the next moment.
//!
//! Each step is a transaction that locks what it decides and moves it on. Killed anywhere, whoever comes next goes on, and whoever works
//! at the same time waits for the rows and finds them decided.

mod broadcasts;
mod messages;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Handled, Handler, Work};
use crate::db::DbError;
use crate::db::master::{MasterDb, tenants};
use crate::db::tenant::schedules::{self, KIND};
use crate::db::tenant::{Access, TenantDb, settings};
use crate::domain::settings::Settings;
use crate::domain::subscription::{Gate, Section};
use crate::platform::Platform;

/// Says what is due.
pub struct Schedules {
    master: MasterDb,
}

/// A turn of one tenant.
struct Turn<'a> {
    db: &'a TenantDb,
    access: Access,
    now: DateTime<Utc>,
    /// The subscription allows it.
    speaks: bool,
    /// How the business is called.
    company: String,
}

impl Schedules {
    /// Of this platform.
    pub fn new(platform: &Platform) -> Self {
        Self {
            master: platform.master.clone(),
        }
    }

    async fn try_handle(&self, work: &Work) -> Result<Handled, DbError> {
        let Some(tenant) = tenants::find_active_by_id(&self.master, work.tenant).await? else {
            return Ok(Handled::Again("the tenant is not served".to_owned()));
        };
        let (access, now) = (Access::system(work.now), work.now);
        let stored = work.db.run(&access, settings::find_all()).await?.output;
        let gate = Gate::of(tenant.subscription.map(|state| state.at(now)));
        let turn = Turn {
            db: &work.db,
            access,
            now,
            speaks: gate.allows(Section::Write),
            company: Settings::of(&tenant.name, &stored.values).company_name,
        };
        // As `restore.sql` leaves it.
        if work.payload.get("restored").is_some() {
            messages::keep_to_come(&turn).await?;
        }
        messages::say(&turn).await?;
        crate::kill_point!("schedules.said");
        broadcasts::go_on(&turn).await?;
        work.db.run(&turn.access, schedules::finish(now)).await?;
        Ok(Handled::Done)
    }
}

#[async_trait]
impl Handler for Schedules {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn handle(&self, work: &Work) -> Handled {
        let handled = self.try_handle(work).await;
        handled.unwrap_or_else(|error| Handled::Again(error.to_string()))
    }
}
