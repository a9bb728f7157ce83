//! Tells administrators that backups fail: each at most one mail a day, however many tenants it is about.

use chrono::TimeDelta;
use serde_json::json;

use super::Vault;
use crate::db::DbError;
use crate::db::master::{admins, backups};
use crate::domain::email::Email;
use crate::domain::ids::MailId;
use crate::domain::month::BOOKS_TZ;
use crate::mail::{MailKind, NewMail, enqueue};

/// Failures that are older were told before.
const SINCE: TimeDelta = TimeDelta::hours(24);

impl Vault {
    /// Has a mail sent to every administrator, if there are tenants whose newest snapshot is a failure of the last day and none was
    /// sent today; answers how many tenants it is about.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn tell_failures(&self) -> Result<usize, DbError> {
        let (master, now) = (&self.keeper.master, self.keeper.clock.now());
        let failing = backups::list_failing(master, now - SINCE).await?;
        if failing.is_empty() {
            return Ok(0);
        }
        let today = now.with_timezone(&BOOKS_TZ).date_naive();
        let admins = admins::list_addresses(master).await?;
        let mut tx = master.begin().await?;
        for (admin, address) in admins {
            let Ok(to) = Email::parse(&address) else { continue };
            let mail = NewMail {
                id: MailId::new(),
                kind: MailKind::BackupFailed,
                tenant: None,
                invoice: None,
                locale: None,
                to,
                values: json!({ "tenant_keys": failing }),
                due_at: now,
                dedupe_key: format!("backup_failed:{today}:{admin}"),
            };
            enqueue(&mut tx, &self.keeper.platform_key, &mail).await?;
        }
        tx.commit().await?;
        Ok(failing.len())
    }
}
