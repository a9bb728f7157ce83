//! A copy of a tenant beside it: its snapshot, restored under another key, perhaps without the people in it.

use std::path::{Path, PathBuf};

use super::mask::{self, Mask};
use super::{Keeper, KeeperError, OnProgress, RestoreRequest, Restored, Target};
use crate::accounts::hashing;
use crate::db::master::tenants;
use crate::domain::password::Password;
use crate::domain::tenant::Niche;
use crate::domain::tenant_key::TenantKey;
use crate::tenancy::lifecycle::Origin;

/// A copy.
#[derive(Debug, Clone)]
pub struct Cloned {
    /// The new tenant.
    pub restored: Restored,
    /// Of a masked one: how to get in.
    pub login: Option<MaskedLogin>,
}

/// Everybody's password in a masked copy, and an owner's address there.
#[derive(Debug, Clone)]
pub struct MaskedLogin {
    /// The masked address of an owner; `None` when no owner can log in.
    pub email: Option<String>,
    /// The password of everybody who has one.
    pub password: String,
}

/// What restoring changes of the rows.
pub(super) struct Masking {
    pub(super) mask: Mask,
    pub(super) owner_email: Option<String>,
}

/// A file that is gone when this is.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a crash it stays, sealed with the platform's key.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Keeper {
    /// Copies a tenant, as it is at one moment, to a free key. `masked`, without names, addresses, numbers, messages and
    /// passwords of people; `folder` holds the snapshot meanwhile, encrypted.
    ///
    /// # Errors
    /// See [`KeeperError`]; nothing is changed then.
    pub async fn duplicate(
        &self,
        (key, new): (&TenantKey, TenantKey),
        masked: bool,
        folder: &Path,
        origin: Origin,
        progress: &OnProgress,
    ) -> Result<Cloned, KeeperError> {
        let tenant = tenants::find_record(&self.master, key)
            .await?
            .ok_or(KeeperError::Unknown)?;
        if tenants::find_record(&self.master, &new).await?.is_some() {
            return Err(KeeperError::KeyTaken);
        }
        let file = Temporary(folder.join(mask::file_name()));
        let target = Target {
            file: file.0.clone(),
            encrypted: true,
        };
        self.write_snapshot(key, &target, progress).await?;
        crate::kill_point!("clone.written");
        let password = Password::generate();
        let mut masking = if masked {
            let niche = Niche::parse(&tenant.niche)
                .map_err(|_| KeeperError::Misfit(format!("there is no niche {}", tenant.niche)))?;
            let hash = hashing::hash(password.clone()).await?;
            Some(Masking {
                mask: Mask::new(self.platform_key.clone(), tenant.id, niche, hash),
                owner_email: None,
            })
        } else {
            None
        };
        let request = RestoreRequest {
            file: file.0.clone(),
            key: Some(new),
            any_platform: false,
        };
        let restored = self
            .restore_masked(request, masking.as_mut(), origin, progress)
            .await?;
        crate::kill_point!("clone.restored");
        Ok(Cloned {
            restored,
            login: masking.map(|masking| MaskedLogin {
                email: masking.owner_email,
                password: password.expose().to_owned(),
            }),
        })
    }
}
