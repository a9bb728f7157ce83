//! What falls due for a tenant's own customers by the calendar.

mod handed;
mod jobs;
#[cfg(feature = "kill_points")]
mod killed;
mod monthly;
mod reminders;
mod restored;
mod settled;

use chrono::{DateTime, Utc};
use helixai::billing::customers::{Customers, Done};
use helixai::db::tenant::TenantDb;
use helixai::domain::clock::Clock;
use helixai::domain::tenant_key::TenantKey;
use helixai::jobs::customers as jobs_of;
use helixai::jobs::{Handler, Jobs};
use helixai::platform::Platform;
use serde_json::{Value, json};

use crate::helpers::{TestApp, TestTenant, resolved_by, tenant_db_of};
use crate::http::customers::made;

/// A program whose clock stands still, and a tenant that has paid.
pub struct Shop {
    pub app: TestApp,
    pub tenant: TestTenant,
}

impl Shop {
    /// At this moment.
    pub async fn at(now: &str) -> Self {
        let now: DateTime<Utc> = now.parse().expect("a time");
        let app = TestApp::builder()
            // What is due is done when a test says so.
            .set("server.background_work", false)
            .clock(Clock::fixed(now))
            .start()
            .await;
        let tenant = app.onboard("academia", "general").await;
        let paid = format!(
            "update master.subscriptions set status = 'active' where tenant_id = '{}'",
            tenant.id
        );
        app.test.admin().await.batch_execute(&paid).await.expect("paid");
        let key = TenantKey::parse(&tenant.key).expect("a key");
        app.test.platform.resolver.find_fresh(&key).await.expect("found");
        Self { app, tenant }
    }

    /// Moves the clock.
    pub fn set(&self, now: &str) {
        self.app.test.clock.set(now.parse().expect("a time"));
    }

    /// Does what is due now, as this process would.
    pub async fn work(&self) -> Done {
        work(&self.app.test.platform, &self.tenant).await
    }

    pub async fn db(&self) -> TenantDb {
        tenant_db_of(&self.app.test.platform, &self.tenant.key).await
    }

    /// Rows of the tenant's schema as JSON.
    pub async fn rows(&self, select: &str) -> Vec<Value> {
        let admin = self.app.test.admin().await;
        let text = format!(
            "select coalesce(jsonb_agg(to_jsonb(r)), '[]')::text from ({}) r",
            select.replace("{}", &self.tenant.schema)
        );
        let row = admin.query_one(&text, &[]).await.expect("rows");
        serde_json::from_str(row.get(0)).expect("JSON")
    }

    /// One of [`Shop::rows`] that is a text or a number, for each row.
    pub async fn list(&self, select: &str) -> Vec<Value> {
        let rows = self.rows(select).await;
        rows.into_iter()
            .filter_map(|row| row.as_object()?.values().next().cloned())
            .collect()
    }

    /// A template of these words.
    pub async fn template(&self, body: &str) -> Value {
        let body = json!({"name": "Lembrete", "subject": "{{empresa}}: {{valor}}", "body": body});
        made(&self.app, &self.tenant, "/api/message-templates", body).await
    }

    /// Has customers reminded in these words, so many days after the day.
    pub async fn remind(&self, days: i64, body: &str) -> Value {
        let template = self.template(body).await;
        let rule = json!({"days": days, "template_id": template["id"]});
        made(&self.app, &self.tenant, "/api/reminder-rules", rule).await
    }

    /// Changes a setting of the tenant.
    pub async fn set_zone(&self, zone: &str) {
        let insert = format!(
            "insert into {}.settings (key, value, updated_at) values ('time_zone', to_jsonb($1::text), now())",
            self.tenant.schema
        );
        let admin = self.app.test.admin().await;
        admin.execute(&insert, &[&zone]).await.expect("set");
    }
}

/// A worker that does all the work of tenants' customers.
pub fn worker(platform: &Platform) -> Jobs {
    let handlers: Vec<Box<dyn Handler>> = vec![
        Box::new(jobs_of::CustomersDay::new(platform)),
        Box::new(jobs_of::CustomerEmail::new(platform)),
        Box::new(jobs_of::TakeBackMails::new(platform)),
    ];
    Jobs::new(platform.clone(), handlers)
}

/// Does what is due for a tenant in any process.
pub async fn work(platform: &Platform, tenant: &TestTenant) -> Done {
    work_of(platform, &tenant.key, &tenant.name).await
}

/// The same for a tenant of this key and name.
pub async fn work_of(platform: &Platform, key: &str, name: &str) -> Done {
    let tenant = resolved_by(platform, key).await;
    let db = tenant_db_of(platform, key).await;
    let customers = Customers {
        tenant: tenant.home.id,
        name,
        db: &db,
    };
    customers.work(platform.clock.now()).await.expect("worked")
}
