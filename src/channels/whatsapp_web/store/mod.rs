//! What the client of WhatsApp keeps, in the schema of the tenant whose bot it is: one call is one round trip, and nothing stays in
//! memory.
//!
//! Values are sealed for tenant, bot, kind and name, so that none opens in another row. A store has claimed its device: when another
//! is opened for the same bot, of whatever process, each call of the former fails.

mod app_state;
mod device;
mod protocol;
mod sealing;
mod secrets;
mod signal;

pub use self::device::is_linked;

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use secrecy::zeroize::Zeroizing;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;
use wacore::store::error::{Result, StoreError};

use self::sealing::Sealing;
use crate::db::tenant::whatsapp::keys::{self, Key, Meeting};
use crate::db::tenant::{Access, Batch, Query, TenantDb, whatsapp};
use crate::db::{DbError, Refusal};
use crate::domain::clock::Clock;
use crate::domain::ids::{InstanceId, TenantId};
use crate::domain::platform_key::PlatformKey;
use crate::domain::whatsapp_key::KeyKind;

/// What one bot keeps.
pub struct Store {
    db: TenantDb,
    sealing: Sealing,
    instance: InstanceId,
    /// This store, and no other.
    owner: Uuid,
    clock: Clock,
}

impl Store {
    /// Claims the device of a bot: stores that were opened for it before are of no use any more.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] when the tenant has no such bot; when its schema cannot be asked.
    pub async fn open(
        db: TenantDb,
        key: PlatformKey,
        tenant: TenantId,
        instance: InstanceId,
        clock: Clock,
    ) -> std::result::Result<Self, DbError> {
        let (owner, now) = (Uuid::now_v7(), clock.now());
        let claim = whatsapp::claim(instance, owner, now);
        match Box::pin(db.run(&Access::system(now), claim)).await?.output {
            0 => Err(DbError::Refused(Refusal::NotFound)),
            _ => Ok(Self {
                db,
                sealing: Sealing::new(key, tenant, instance),
                instance,
                owner,
                clock,
            }),
        }
    }

    /// Puts the device aside, which was logged out, and forgets its keys: it is linked to no account then.
    ///
    /// # Errors
    /// When the schema cannot be asked, or another store has claimed the device.
    pub async fn archive(&self) -> Result<()> {
        self.run(whatsapp::archive(self.instance, self.owner, self.clock.now()))
            .await?;
        Ok(())
    }

    /// Runs a batch for as long as the device is this store's.
    pub(super) async fn run<B: Batch>(&self, batch: B) -> Result<B::Output> {
        let access = Access::system(self.clock.now());
        let batch = (whatsapp::refuse_others(self.instance, self.owner), batch);
        match Box::pin(self.db.run(&access, batch)).await {
            Ok(reply) => Ok(reply.output.1),
            Err(error) if error.is_transient() => Err(StoreError::Connection(Box::new(error))),
            Err(error) => Err(StoreError::Database(Box::new(error))),
        }
    }

    /// A row with this value, sealed, under a name as it is stored.
    fn key(&self, kind: KeyKind, name: String, value: &[u8]) -> Key {
        Key {
            value: Some(self.sealing.seal(kind, &name, value)),
            name,
            ..Key::default()
        }
    }

    /// Stores rows. Of two of one name the later counts.
    async fn put(&self, kind: KeyKind, keys: Vec<Key>, meeting: Meeting) -> Result<()> {
        // In order, so that two who store the same do not wait for each other.
        let keys: BTreeMap<String, Key> = keys.into_iter().map(|key| (key.name.clone(), key)).collect();
        if !keys.is_empty() {
            let keys = keys.into_values().collect();
            self.run(keys::put(self.instance, kind, keys, meeting)).await?;
        }
        Ok(())
    }

    /// Stores values by their names.
    fn put_values<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        kind: KeyKind,
        values: impl IntoIterator<Item = (N, V)>,
    ) -> BoxFuture<'_, Result<()>> {
        let values = values.into_iter();
        let keys =
            values.map(|(name, value)| self.key(kind, self.sealing.name(name.as_ref()), value.as_ref()));
        let keys = keys.collect();
        Box::pin(self.put(kind, keys, Meeting::Replaced))
    }

    /// Runs a query for a row and opens its value.
    async fn open_one(&self, kind: KeyKind, query: Query<Option<Key>>) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let found = self.run(query).await?;
        found.map(|key| self.sealing.value_of(kind, &key)).transpose()
    }

    async fn find(&self, kind: KeyKind, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let name = self.sealing.name(name);
        self.open_one(kind, keys::find(self.instance, kind, name)).await
    }

    async fn delete(&self, kind: KeyKind, name: &str) -> Result<()> {
        let names = vec![self.sealing.name(name)];
        self.run(keys::delete(self.instance, kind, names)).await?;
        Ok(())
    }
}

/// A value as it is sealed.
fn written<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>> {
    // What serde says of a failure may show the value.
    let written = serde_json::to_vec(value).map(Zeroizing::new);
    written.map_err(|_| StoreError::Validation("a value cannot be written".to_owned()))
}

/// A value that was opened.
fn read<T: DeserializeOwned>(kind: &str, value: &[u8]) -> Result<T> {
    serde_json::from_slice(value)
        .map_err(|_| StoreError::Validation(format!("a stored {kind} cannot be read")))
}

fn count(rows: u64) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}
