//! What the client of WhatsApp keeps in a tenant's schema: as much as its own memory would keep, for one bot alone.

mod client;
#[cfg(feature = "kill_points")]
mod killed;
mod model;
pub mod shut;

use std::sync::Arc;

use helixai::channels::whatsapp_web::store::Store;
use helixai::db::DbError;
use helixai::db::tenant::TenantDb;
use helixai::domain::ids::{InstanceId, TenantId};
use helixai::tenancy::provision::Onboarded;
use tokio_postgres::Client;

use crate::helpers::TestPlatform;

/// A tenant on a platform.
pub struct Shop {
    pub id: TenantId,
    pub key: String,
    pub schema: String,
    pub db: TenantDb,
}

impl Shop {
    pub async fn onboard(test: &TestPlatform, key: &str) -> Self {
        let made: Onboarded = test.onboard(key, "cars").await;
        Self {
            id: test.resolved(&made).await.home.id,
            db: test.tenant_db(&made).await,
            key: made.tenant_key.clone(),
            schema: made.schema_name,
        }
    }

    /// A bot that is to be linked.
    pub async fn bot(&self, admin: &Client) -> InstanceId {
        let id = InstanceId::new();
        let insert = format!(
            "insert into {}.instances (id, channel, name, is_active, state, state_changed_at, message_delay_ms, max_attempts,
             auto_reconnect, created_at, updated_at)
             values ($1, 'whatsapp_web', 'Vendas', false, 'created', now(), 0, 3, true, now(), now())",
            self.schema
        );
        admin.execute(&insert, &[&id.as_uuid()]).await.expect("a bot");
        id
    }

    pub async fn try_open(&self, test: &TestPlatform, bot: InstanceId) -> Result<Store, DbError> {
        let key = test.platform.channels.key.clone();
        Store::open(self.db.clone(), key, self.id, bot, test.clock.clone()).await
    }

    pub async fn open(&self, test: &TestPlatform, bot: InstanceId) -> Arc<Store> {
        Arc::new(self.try_open(test, bot).await.expect("a store"))
    }

    /// How many rows of this table there are.
    pub async fn rows(&self, admin: &Client, table: &str) -> i64 {
        let count = format!("select count(*) from {}.{table}", self.schema);
        admin.query_one(&count, &[]).await.expect("a count").get(0)
    }
}
