//! What is for sale. A price or a limit never changes: a further version is published, and who bought an older one keeps it.

use crate::db::DbError;
use crate::db::master::audit::{MasterAudit, Origin, Subject, insert_audit};
use crate::db::master::plans::{self, PlanHead, PlanRecord, VersionRecord};
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::clock::Clock;
use crate::domain::plan::{PlanCode, PlanStatus, PlanTerms, SANDBOX};

/// Changes what is for sale. Cheap to clone.
#[derive(Clone)]
pub struct Plans {
    /// The registry.
    pub master: MasterDb,
    /// Tells the time.
    pub clock: Clock,
}

/// A plan with its published versions, newest first.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The plan.
    pub head: PlanHead,
    /// Its versions; never none.
    pub versions: Vec<VersionRecord>,
}

/// Why a plan is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There is no such plan.
    #[error("unknown plan")]
    Unknown,
    /// There is a plan of this code.
    #[error("there is a plan of this code")]
    CodeTaken,
    /// The program itself needs the plan as it is.
    #[error("the plan is the program's own")]
    Internal,
    /// The database failed; nothing has changed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Plans {
    /// The plans of a status in their newest versions, cheapest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, status: PlanStatus) -> Result<Vec<PlanRecord>, DbError> {
        plans::list_plans(&self.master, status, None).await
    }

    /// The code of the cheapest plan on sale that includes more than `amount` of something.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cheapest_above(&self, meter: &str, amount: i64) -> Result<Option<String>, DbError> {
        plans::cheapest_above(&self.master, meter, amount).await
    }

    /// A plan with all its versions.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub async fn find(&self, code: &PlanCode) -> Result<Plan, PlanError> {
        let mut tx = self.master.begin().await?;
        let head = plans::find_plan(&mut tx, code).await?.ok_or(PlanError::Unknown)?;
        let versions = plans::list_versions(&mut tx, head.id).await?;
        tx.commit().await?;
        Ok(Plan { head, versions })
    }

    /// Makes a plan and puts its first version on sale.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub async fn create(
        &self,
        code: &PlanCode,
        name: &str,
        terms: &PlanTerms,
        origin: Origin,
    ) -> Result<Plan, PlanError> {
        let now = self.clock.now();
        let mut tx = self.master.begin().await?;
        let head = plans::insert_plan(&mut tx, code, name, now).await?;
        let head = head.ok_or(PlanError::CodeTaken)?;
        plans::publish_version(&mut tx, head.id, terms, now).await?;
        self.end(tx, head, "plan.create", origin).await
    }

    /// Puts another version on sale. When the newest says the same already, nothing changes.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub async fn publish(
        &self,
        code: &PlanCode,
        terms: &PlanTerms,
        origin: Origin,
    ) -> Result<Plan, PlanError> {
        let mut tx = self.master.begin().await?;
        let head = changeable(&mut tx, code).await?;
        let versions = plans::list_versions(&mut tx, head.id).await?;
        if versions.first().is_some_and(|newest| says(newest, terms)) {
            tx.commit().await?;
            return Ok(Plan { head, versions });
        }
        plans::publish_version(&mut tx, head.id, terms, self.clock.now()).await?;
        self.end(tx, head, "plan.publish", origin).await
    }

    /// Renames a plan, retires it, or puts it on sale again. When it is so already, nothing changes.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub async fn update(
        &self,
        code: &PlanCode,
        name: Option<String>,
        status: Option<PlanStatus>,
        origin: Origin,
    ) -> Result<Plan, PlanError> {
        let mut tx = self.master.begin().await?;
        let mut head = changeable(&mut tx, code).await?;
        let name = name.unwrap_or_else(|| head.name.clone());
        let status = status.unwrap_or(head.status);
        if (&name, status) == (&head.name, head.status) {
            let versions = plans::list_versions(&mut tx, head.id).await?;
            tx.commit().await?;
            return Ok(Plan { head, versions });
        }
        (head.name, head.status) = (name, status);
        plans::update_plan(&mut tx, &head, self.clock.now()).await?;
        self.end(tx, head, "plan.update", origin).await
    }

    async fn end(
        &self,
        mut tx: MasterTx,
        head: PlanHead,
        action: &'static str,
        origin: Origin,
    ) -> Result<Plan, PlanError> {
        let versions = plans::list_versions(&mut tx, head.id).await?;
        let line = MasterAudit {
            actor: origin.actor,
            action,
            subject: Subject::Plan(head.id),
            request_id: origin.request_id,
            details: serde_json::json!({
                "code": head.code,
                "status": head.status,
                "version": versions.first().map(|newest| newest.version),
            }),
            at: self.clock.now(),
        };
        insert_audit(&mut tx, &line).await?;
        tx.commit().await?;
        Ok(Plan { head, versions })
    }
}

async fn changeable(tx: &mut MasterTx, code: &PlanCode) -> Result<PlanHead, PlanError> {
    let head = plans::lock_plan(tx, code).await?.ok_or(PlanError::Unknown)?;
    if head.code == SANDBOX {
        return Err(PlanError::Internal);
    }
    Ok(head)
}

fn says(version: &VersionRecord, terms: &PlanTerms) -> bool {
    (version.price_cents, version.trial_days, &version.limits)
        == (terms.price.get(), terms.trial_days, &terms.limits)
}
