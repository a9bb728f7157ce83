//! What a gateway says and nobody expected, looked at by an administrator.

use super::Payments;
use crate::db::DbError;
use crate::db::master::audit::{MasterAudit, Origin, Subject, insert_audit};
use crate::db::master::payments::findings::{self, FindingRecord};
use crate::domain::ids::PaymentFindingId;

impl Payments {
    /// Closes a finding with what its administrator has to say about it; the audit, of which nothing is ever removed, does not hold
    /// that. One that is closed stays as it is. `None`: there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resolve_finding(
        &self,
        id: PaymentFindingId,
        note: &str,
        origin: Origin,
    ) -> Result<Option<FindingRecord>, DbError> {
        let Some(finding) = findings::find_finding(&self.master, id).await? else {
            return Ok(None);
        };
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        if findings::resolve_finding(&mut tx, id, note, now).await? {
            let line = MasterAudit {
                actor: origin.actor,
                action: "payment_finding.resolve",
                subject: Subject::PaymentFinding(id, finding.tenant.map(|(tenant, _)| tenant)),
                request_id: origin.request_id,
                details: serde_json::json!({
                    "kind": finding.kind, "account": finding.account, "payment": finding.payment_id,
                }),
                at: now,
            };
            insert_audit(&mut tx, &line).await?;
        }
        tx.commit().await?;
        findings::find_finding(&self.master, id).await
    }
}
