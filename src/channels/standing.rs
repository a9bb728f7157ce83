//! What the subscription of a bot's tenant allows: one who has not paid is written to, and answers no more.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::Channels;
use crate::db::DbError;
use crate::db::master::tenants;
use crate::domain::ids::TenantId;
use crate::domain::subscription::{Gate, Section};

/// For how long an answer is believed.
const BELIEVED: Duration = Duration::from_secs(30);

/// What a bot may do, asked anew every now and then.
pub(super) struct Standing {
    tenant: TenantId,
    known: Mutex<Option<(Instant, Gate)>>,
}

impl Standing {
    pub(super) fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            known: Mutex::new(None),
        }
    }

    /// Whether the bot may speak.
    pub(super) async fn speaks(&self, channels: &Channels) -> Result<bool, DbError> {
        Ok(self.gate(channels).await?.allows(Section::Write))
    }

    /// Whether anybody may be heard.
    pub(super) async fn hears(&self, channels: &Channels) -> Result<bool, DbError> {
        Ok(self.gate(channels).await?.allows(Section::Inbound))
    }

    async fn gate(&self, channels: &Channels) -> Result<Gate, DbError> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, gate)) = known
            && asked.elapsed() < BELIEVED
        {
            return Ok(gate);
        }
        let tenant = tenants::find_active_by_id(&channels.master, self.tenant).await?;
        let now = channels.clock.now();
        let gate = Gate::of(
            tenant
                .and_then(|tenant| tenant.subscription)
                .map(|state| state.at(now)),
        );
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), gate));
        Ok(gate)
    }
}
