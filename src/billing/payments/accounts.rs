//! Accounts at gateways. Their credentials come in and never go out: they are sealed for the account and its owner, and
//! opened only to speak to the gateway.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use secrecy::zeroize::Zeroizing;

use crate::billing::gateways::{Credentials, Gateway, GatewayError, Gateways};
use crate::db::DbError;
use crate::db::master::audit::{MasterAudit, Origin, Subject, insert_audit};
use crate::db::master::payments::accounts::{self, AccountRecord};
use crate::db::master::{MasterDb, MasterTx};
use crate::domain::charge::AccountStatus;
use crate::domain::clock::Clock;
use crate::domain::ids::{GatewayAccountId, TenantId};
use crate::domain::platform_key::PlatformKey;

/// Accounts that are kept at hand.
const KEPT: usize = 4096;
/// For how long one is believed to be as it was: another process may have changed it.
const FRESH: Duration = Duration::from_secs(60);
/// A signature that is not good may be made with newer credentials: they are looked for at most this often.
const LOOKED_FOR: Duration = Duration::from_secs(5);

/// An account, ready to be used.
pub struct Account {
    /// What is known of it.
    pub record: AccountRecord,
    /// What it is used through.
    pub gateway: Box<dyn Gateway>,
    read_at: Instant,
}

/// Accounts at gateways, of the platform and of tenants. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    master: MasterDb,
    key: PlatformKey,
    clock: Clock,
    gateways: Gateways,
    kept: Arc<Mutex<LruCache<GatewayAccountId, Arc<Account>>>>,
}

/// An account to be.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Whose money it collects; `None`: the platform's.
    pub owner: Option<TenantId>,
    /// What people call it.
    pub name: String,
    /// What it is used with.
    pub credentials: Credentials,
}

/// What of an account changes; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct AccountChange {
    /// What people call it.
    pub name: Option<String>,
    /// What it is used with: of the same gateway.
    pub credentials: Option<Credentials>,
    /// Whether new charges use it.
    pub status: Option<AccountStatus>,
    /// The version that was read; another one is refused.
    pub version: Option<i32>,
}

/// Why an account is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The owner has no such account.
    #[error("unknown account")]
    Unknown,
    /// The owner collects with another account at that gateway.
    #[error("another account of this gateway is active")]
    Taken,
    /// Somebody has changed it since it was read.
    #[error("the account has another version")]
    Stale,
    /// The credentials are of another gateway.
    #[error("the credentials are of another gateway")]
    OtherGateway,
    /// Something was collected with it: it can be disabled, not deleted.
    #[error("the account has been used")]
    Used,
    /// Something was collected with it, and the credentials are of another account at the gateway.
    #[error("the credentials are of another account")]
    OtherCollector,
    /// Something was collected with it, and the gateway does not say now whose credentials these are.
    #[error("the gateway does not say whose credentials these are")]
    Unproven,
    /// The gateway does not take the credentials.
    #[error("the gateway refuses the credentials")]
    Credentials,
    /// The database failed; nothing has changed.
    #[error(transparent)]
    Db(DbError),
}

impl From<DbError> for AccountError {
    fn from(error: DbError) -> Self {
        let taken = [
            "gateway_accounts_platform_active_key",
            "gateway_accounts_tenant_active_key",
        ];
        match error {
            error if taken.iter().any(|name| error.is_constraint(name)) => Self::Taken,
            error if error.is_constraint("gateway_accounts_tenant_id_fkey") => Self::Unknown,
            error => Self::Db(error),
        }
    }
}

impl Accounts {
    /// Keeps accounts in the registry, sealed with `key`.
    pub fn new(master: MasterDb, key: PlatformKey, clock: Clock, gateways: Gateways) -> Self {
        Self {
            master,
            key,
            clock,
            gateways,
            kept: Arc::new(Mutex::new(LruCache::new(
                NonZeroUsize::new(KEPT).unwrap_or(NonZeroUsize::MIN),
            ))),
        }
    }

    /// An account, whoever owns it; from memory when it was read within a minute.
    ///
    /// # Errors
    /// When the database fails, or the credentials do not open.
    pub async fn find(&self, id: GatewayAccountId) -> Result<Option<Arc<Account>>, DbError> {
        match self.at_hand(id, FRESH) {
            Some(account) => Ok(Some(account)),
            None => self.read(id).await,
        }
    }

    /// The account again, if what is known of it is a few seconds old: for who has credentials that it does not know.
    ///
    /// # Errors
    /// As [`Accounts::find`].
    pub async fn find_newer(&self, account: &Account) -> Result<Option<Arc<Account>>, DbError> {
        if account.read_at.elapsed() < LOOKED_FOR {
            return Ok(None);
        }
        match self.at_hand(account.record.id, LOOKED_FOR) {
            Some(newer) => Ok(Some(newer)),
            None => self.read(account.record.id).await,
        }
    }

    fn at_hand(&self, id: GatewayAccountId, fresh: Duration) -> Option<Arc<Account>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let account = kept.get(&id).cloned();
        account.filter(|account| account.read_at.elapsed() < fresh)
    }

    async fn read(&self, id: GatewayAccountId) -> Result<Option<Arc<Account>>, DbError> {
        let Some(record) = accounts::find_account(&self.master, id).await? else {
            return Ok(None);
        };
        let credentials = self.open(&record)?;
        let account = Arc::new(Account {
            gateway: self.gateways.connect(&credentials),
            record,
            read_at: Instant::now(),
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.put(id, Arc::clone(&account));
        Ok(Some(account))
    }

    fn forget(&self, id: GatewayAccountId) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pop(&id);
    }

    fn open(&self, record: &AccountRecord) -> Result<Credentials, DbError> {
        let closed = || DbError::Other {
            code: "sealed".to_owned(),
            message: "the credentials of an account do not open: was platform.key changed?".to_owned(),
        };
        let json: Zeroizing<Vec<u8>> = self
            .key
            .open(&context(record.id, record.tenant), &record.credentials_sealed)
            .ok_or_else(closed)?;
        let object = serde_json::from_slice(&json).map_err(|_| closed())?;
        Credentials::parse(record.gateway, &object).map_err(|_| closed())
    }

    /// The accounts of an owner (`None`: the platform), newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self, owner: Option<TenantId>) -> Result<Vec<AccountRecord>, DbError> {
        accounts::list_accounts(&self.master, owner).await
    }

    /// An account of this owner (`None`: the platform), as it is now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_of(
        &self,
        owner: Option<TenantId>,
        id: GatewayAccountId,
    ) -> Result<Option<AccountRecord>, DbError> {
        let found = accounts::find_account(&self.master, id).await?;
        Ok(found.filter(|account| account.tenant == owner))
    }

    /// Makes an account that new charges use. The gateway is asked whose credentials these are: a payment to anybody else
    /// will not be believed. When it does not answer they are taken as they are.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn create(&self, new: &NewAccount, origin: Origin) -> Result<AccountRecord, AccountError> {
        let collector = self.identify(&new.credentials).await?;
        let mut tx = self.master.begin().await?;
        let record = self.insert(&mut tx, new, collector, origin).await?;
        tx.commit().await?;
        Ok(record)
    }

    /// As [`Accounts::create`], of whom the gateway has [said](Accounts::identify) whose account it is, in somebody's transaction.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn insert(
        &self,
        tx: &mut MasterTx,
        new: &NewAccount,
        collector: Option<String>,
        origin: Origin,
    ) -> Result<AccountRecord, AccountError> {
        let (id, now) = (GatewayAccountId::new(), self.clock.now());
        let sealed = self.key.seal(&context(id, new.owner), &new.credentials.to_json());
        let record = AccountRecord {
            id,
            gateway: new.credentials.kind(),
            tenant: new.owner,
            name: new.name.clone(),
            credentials_sealed: sealed,
            collector,
            status: AccountStatus::Active,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        accounts::insert_account(tx, &record).await?;
        self.audit(tx, &record, "gateway_account.create", false, origin)
            .await?;
        Ok(record)
    }

    /// Changes an account of this owner.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn update(
        &self,
        owner: Option<TenantId>,
        id: GatewayAccountId,
        change: &AccountChange,
        origin: Origin,
    ) -> Result<AccountRecord, AccountError> {
        let told = match &change.credentials {
            Some(credentials) => Some((credentials, self.prove(owner, id, credentials).await?)),
            None => None,
        };
        let mut tx = self.master.begin().await?;
        let found = accounts::lock_account(&mut tx, owner, id).await?;
        let mut record = found.ok_or(AccountError::Unknown)?;
        if change.version.is_some_and(|version| version != record.version) {
            return Err(AccountError::Stale);
        }
        if let Some((credentials, collector)) = told {
            if credentials.kind() != record.gateway {
                return Err(AccountError::OtherGateway);
            }
            record.credentials_sealed = self.key.seal(&context(id, owner), &credentials.to_json());
            record.collector = collector;
        }
        record.name = change.name.clone().unwrap_or(record.name);
        record.status = change.status.unwrap_or(record.status);
        record.updated_at = self.clock.now();
        accounts::update_account(&mut tx, &record).await?;
        record.version += 1;
        let renewed = change.credentials.is_some();
        self.audit(&mut tx, &record, "gateway_account.update", renewed, origin)
            .await?;
        tx.commit().await?;
        self.forget(id);
        Ok(record)
    }

    /// Removes an account of this owner that was never used.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn delete(
        &self,
        owner: Option<TenantId>,
        id: GatewayAccountId,
        origin: Origin,
    ) -> Result<(), AccountError> {
        let mut tx = self.master.begin().await?;
        let found = accounts::lock_account(&mut tx, owner, id).await?;
        let record = found.ok_or(AccountError::Unknown)?;
        if !accounts::delete_account(&mut tx, id).await? {
            return Err(AccountError::Used);
        }
        self.audit(&mut tx, &record, "gateway_account.delete", false, origin)
            .await?;
        tx.commit().await?;
        self.forget(id);
        Ok(())
    }

    /// Whose these credentials are. Of an account that has collected, the same account at the gateway must be: with another's nobody
    /// could ask what became of its charges, or give money back.
    async fn prove(
        &self,
        owner: Option<TenantId>,
        id: GatewayAccountId,
        credentials: &Credentials,
    ) -> Result<Option<String>, AccountError> {
        let record = self.find_of(owner, id).await?.ok_or(AccountError::Unknown)?;
        if credentials.kind() != record.gateway {
            return Err(AccountError::OtherGateway);
        }
        let told = self.identify(credentials).await?;
        let Some(used) = accounts::find_use(&self.master, id).await? else {
            return Ok(told);
        };
        match (record.collector, told, used) {
            (Some(own), Some(told), _) if own == told => Ok(Some(told)),
            (Some(_), Some(_), _) => Err(AccountError::OtherCollector),
            // Not every gateway says whose credentials these are; each knows its own payments.
            (own, told, Some(payment)) => match self.gateways.connect(credentials).fetch(&payment).await {
                Ok(_) => Ok(told.or(own)),
                Err(GatewayError::Unknown) => Err(AccountError::OtherCollector),
                Err(GatewayError::Credentials) => Err(AccountError::Credentials),
                Err(_) => Err(AccountError::Unproven),
            },
            (Some(_), None, None) => Err(AccountError::Unproven),
            (None, told, None) => Ok(told),
        }
    }

    /// Asks the gateway whose credentials these are; nothing when it does not answer.
    ///
    /// # Errors
    /// [`AccountError::Credentials`] when it does not accept them.
    pub async fn identify(&self, credentials: &Credentials) -> Result<Option<String>, AccountError> {
        match self.gateways.connect(credentials).identify().await {
            Ok(collector) => Ok(collector),
            Err(GatewayError::Credentials) => Err(AccountError::Credentials),
            Err(error) => {
                tracing::warn!(%error, gateway = credentials.kind().as_str(), "new credentials could not be tried");
                Ok(None)
            }
        }
    }

    async fn audit(
        &self,
        tx: &mut MasterTx,
        record: &AccountRecord,
        action: &'static str,
        credentials: bool,
        origin: Origin,
    ) -> Result<(), DbError> {
        let line = MasterAudit {
            actor: origin.actor,
            action,
            subject: Subject::GatewayAccount(record.id, record.tenant),
            request_id: origin.request_id,
            details: serde_json::json!({
                "gateway": record.gateway,
                "status": record.status,
                "credentials_changed": credentials,
            }),
            at: self.clock.now(),
        };
        insert_audit(tx, &line).await
    }
}

/// What credentials are sealed for.
fn context(id: GatewayAccountId, owner: Option<TenantId>) -> String {
    match owner {
        Some(tenant) => format!("gateway_account:{id}:{tenant}"),
        None => format!("gateway_account:{id}:platform"),
    }
}
