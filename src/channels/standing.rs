//! What the subscription of a bot's tenant allows: one who has not paid is written to, and answers no more.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::Channels;
use crate::db::DbError;
use crate::db::master::tenants::{self, ResolvedTenant};
use crate::domain::ids::TenantId;
use crate::domain::subscription::{Gate, Section};

/// For how long an answer is believed.
const BELIEVED: Duration = Duration::from_secs(30);

/// What a bot may do, asked anew every now and then.
pub(super) struct Standing {
    tenant: TenantId,
    known: Mutex<Option<(Instant, Known)>>,
}

#[derive(Clone, Copy)]
struct Known {
    gate: Gate,
    /// Its plan's storage is not used up.
    has_room: bool,
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
        Ok(self.known(channels).await?.gate.allows(Section::Write))
    }

    /// Whether anybody may be heard.
    pub(super) async fn hears(&self, channels: &Channels) -> Result<bool, DbError> {
        Ok(self.known(channels).await?.gate.allows(Section::Inbound))
    }

    /// Whether there is storage left for a file.
    pub(super) async fn has_room(&self, channels: &Channels) -> Result<bool, DbError> {
        Ok(self.known(channels).await?.has_room)
    }

    async fn known(&self, channels: &Channels) -> Result<Known, DbError> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, known)) = known
            && asked.elapsed() < BELIEVED
        {
            return Ok(known);
        }
        let tenant = tenants::find_active_by_id(&channels.master, self.tenant).await?;
        let now = channels.clock.now();
        let full = tenant.as_ref().and_then(ResolvedTenant::storage_exhausted);
        let gate = Gate::of(
            tenant
                .and_then(|tenant| tenant.subscription)
                .map(|state| state.at(now)),
        );
        let known = Known {
            gate,
            has_room: full.is_none(),
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), known));
        Ok(known)
    }
}
