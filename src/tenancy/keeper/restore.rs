//! Restoring: the whole file is checked, the registry notes the intent, the shard gets the rows in one transaction, the
//! registry is brought to it.

use std::path::PathBuf;

use super::clone::Masking;
use super::fill::{Filled, Places, fill};
use super::mask::Masked;
use super::settle::Settled;
use super::target::{Begun, Wanted};
use super::verify::Verified;
use super::{Keeper, KeeperError, OnProgress};
use crate::db::master::{domains, restores};
use crate::db::shard::snapshot::{Destination, Loading};
use crate::domain::ids::TenantId;
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::lifecycle::Origin;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// The snapshot.
    pub file: PathBuf,
    /// The key to restore it under; the snapshot's own when absent.
    pub key: Option<TenantKey>,
    /// Accept a snapshot that another platform has made.
    pub any_platform: bool,
}

/// A tenant that has come back.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Its id: the snapshot's, or a new one for a copy.
    pub id: TenantId,
    /// Its key.
    pub tenant_key: String,
    /// Whether it is a copy under another key.
    pub is_copy: bool,
    /// Whether it took the place of what the tenant had.
    pub over: bool,
    /// Whether it was suspended, and is that again.
    pub suspended: bool,
    /// Hosts that were its own and are not any more: somebody has taken them, or another platform had proven them.
    pub lost_domains: Vec<String>,
    /// The moment whose rows these are.
    pub made_at: chrono::DateTime<chrono::Utc>,
    /// How many rows were loaded.
    pub rows: u64,
    /// Photos whose files the snapshot did not hold: their rows were left out.
    pub photos_left_out: u64,
}

impl Keeper {
    /// Brings a snapshot's tenant back: under its own key when that is free, over the tenant when it lives, or as a copy
    /// under another key, with a new id.
    ///
    /// # Errors
    /// See [`KeeperError`]; nothing is changed then.
    pub async fn restore(
        &self,
        request: RestoreRequest,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<Restored, KeeperError> {
        self.restore_masked(request, None, origin, progress).await
    }

    /// As [`Keeper::restore`], perhaps without the people in the rows.
    pub(super) async fn restore_masked(
        &self,
        request: RestoreRequest,
        masking: Option<&mut Masking>,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<Restored, KeeperError> {
        let mut snapshot = Verified::read(
            &request.file,
            self.platform_key.clone(),
            request.any_platform,
            progress.clone(),
        )
        .await?;
        if let Some(masking) = &masking {
            let tenant = &mut snapshot.header.tenant;
            tenant.owner_email = masking.mask.email(&tenant.owner_email);
            tenant.document = None;
        }
        let wanted = Wanted::check(&snapshot.header, request.key)?;
        if let Some(interrupted) = restores::find_restore_of(&self.master, &wanted.key).await? {
            self.settle(interrupted).await?;
        }
        let begun = self.begin(&wanted, &snapshot, origin).await?;
        self.load_and_settle((&wanted, begun), snapshot, masking, progress)
            .await
    }

    /// From the note in the registry to its end.
    pub(super) async fn load_and_settle(
        &self,
        (wanted, begun): (&Wanted, Begun),
        snapshot: Verified,
        masking: Option<&mut Masking>,
        progress: &OnProgress,
    ) -> Result<Restored, KeeperError> {
        crate::kill_point!("restore.intent");
        let made_at = snapshot.header.made_at;
        let domains = snapshot.header.tenant.domains.clone();
        let loaded = self.load((wanted, &begun), snapshot, masking, progress).await;
        // Also after a failure: when the connection is lost at the end, only the shard knows what became of it.
        let settled = self.settle(begun.restore).await;
        let Filled {
            rows,
            photos_left_out,
        } = match (loaded, settled) {
            // Elsewhere: the reconciler was first to note what this worker has committed.
            (Ok(filled), Ok(Settled::Done | Settled::Elsewhere)) => filled,
            // Committed, and the answer was lost.
            (Err(_), Ok(Settled::Done)) => Filled {
                rows: begun.rows,
                photos_left_out: 0,
            },
            (Err(error), _) | (Ok(_), Err(error)) => return Err(error),
            (Ok(_), Ok(Settled::TakenBack)) => return Err(KeeperError::Busy),
        };
        let is_copy = begun.is_copy(wanted);
        let lost_domains = if is_copy || begun.destination.over {
            Vec::new()
        } else {
            self.not_among(begun.destination.tenant, domains).await?
        };
        Ok(Restored {
            id: begun.destination.tenant,
            tenant_key: wanted.key.to_string(),
            is_copy,
            over: begun.destination.over,
            suspended: begun.destination.suspended,
            lost_domains,
            made_at,
            rows,
            photos_left_out,
        })
    }

    /// Those of these hosts that are not the tenant's.
    async fn not_among(&self, tenant: TenantId, mut hosts: Vec<String>) -> Result<Vec<String>, KeeperError> {
        let own = domains::list(&self.master, tenant).await?;
        hosts.retain(|host| !own.iter().any(|domain| domain.host == *host));
        Ok(hosts)
    }

    async fn load(
        &self,
        (wanted, begun): (&Wanted, &Begun),
        snapshot: Verified,
        masking: Option<&mut Masking>,
        progress: &OnProgress,
    ) -> Result<Filled, KeeperError> {
        let to: &Destination = &begun.destination;
        let mut admin = self.shards.administrator(begun.shard).await?;
        let loading = Loading::begin(&mut admin, to, &wanted.versions).await?;
        // From here on nobody can take it back; had somebody, while this worker was slow, there would be no tenant.
        if !restores::is_under_way(&self.master, begun.restore).await? {
            return Err(KeeperError::Busy);
        }
        let header = snapshot.header.clone();
        let mut masked = Masked::new(&header, masking.as_deref().map(|masking| masking.mask.clone()));
        let places = Places::find(&header, &wanted.niche, loading.tables(), begun.is_copy(wanted))?;
        let parts = snapshot.parts(progress.clone());
        let filled = fill(
            &loading,
            &places,
            parts,
            (self.store.as_ref(), to.tenant, &wanted.niche),
            &mut masked,
        )
        .await?;
        if let Some(masking) = masking {
            masking.owner_email = masked.owner_email();
        }
        loading.finish().await?;
        Ok(filled)
    }
}
