//! Users, sessions and API keys in any state, written where the program keeps them.

use chrono::{DateTime, TimeDelta, Utc};
use helixai::db::master::admins;
use helixai::db::tenant::sessions;
use helixai::domain::email::Email;
use helixai::domain::ids::UserId;
use helixai::domain::token::{NewToken, TokenKind};
use secrecy::ExposeSecret as _;

use super::TestApp;
use super::app::TestTenant;
use super::platform::tenant_db_of;

impl TestApp {
    /// Adds a user of this role, who has no usable password.
    pub async fn add_user(&self, tenant: &TestTenant, role: &str) -> UserId {
        let id = UserId::new();
        let insert = format!(
            "insert into {}.users (id, email, name, password_hash, role, status, created_at, updated_at)
             values ($1, $2, $3, '$argon2id$none', $4, 'active', now(), now())",
            tenant.schema
        );
        let email = format!("{role}-{}@{}.example", id.as_uuid().simple(), tenant.key);
        let name = format!("{role} of {}", tenant.key);
        let admin = self.test.admin().await;
        admin
            .execute(&insert, &[&id.as_uuid(), &email, &name, &role])
            .await
            .expect("a user");
        id
    }

    /// The id of the user who was onboarded with the tenant.
    pub async fn owner_of(&self, tenant: &TestTenant) -> UserId {
        let select = format!(
            "select id from {}.users where role = 'owner' limit 1",
            tenant.schema
        );
        let admin = self.test.admin().await;
        UserId::from_uuid(admin.query_one(&select, &[]).await.expect("an owner").get(0))
    }

    /// A token of a session of this user that ends in an hour.
    pub async fn session_of(&self, tenant: &TestTenant, user: UserId) -> String {
        let until = self.test.clock.now() + TimeDelta::hours(1);
        self.session_until(tenant, user, until).await
    }

    /// A token of a session of this user that has just ended.
    pub async fn expired_session_of(&self, tenant: &TestTenant, user: UserId) -> String {
        self.session_until(tenant, user, self.test.clock.now()).await
    }

    async fn session_until(&self, tenant: &TestTenant, user: UserId, until: DateTime<Utc>) -> String {
        let token = NewToken::generate(TokenKind::Session);
        let begun = until - TimeDelta::hours(2);
        let insert = sessions::insert(user, &token.hash, None, until, begun);
        let db = tenant_db_of(&self.test.platform, &tenant.key).await;
        db.run(&self.test.system(), insert).await.expect("a session");
        token.plain.expose_secret().to_owned()
    }

    /// Adds an API key with these scopes.
    pub async fn add_api_key(&self, tenant: &TestTenant, scopes: &[&str]) -> String {
        let token = NewToken::generate(TokenKind::ApiKey);
        let insert = format!(
            "insert into {}.api_keys (id, name, prefix, key_hash, scopes, created_at)
             values (gen_random_uuid(), 'test', $1, $2, $3, now())",
            tenant.schema
        );
        let admin = self.test.admin().await;
        let hash = token.hash.as_bytes().to_vec();
        admin
            .execute(&insert, &[&token.prefix, &hash, &scopes])
            .await
            .expect("a key");
        token.plain.expose_secret().to_owned()
    }

    /// Adds an API key that has been revoked.
    pub async fn revoked_api_key(&self, tenant: &TestTenant) -> String {
        let key = self.add_api_key(tenant, &["read", "write"]).await;
        let hash = helixai::domain::token::ParsedToken::parse(&key)
            .expect("a key")
            .hash;
        let revoke = format!(
            "update {}.api_keys set revoked_at = now() where key_hash = $1",
            tenant.schema
        );
        let admin = self.test.admin().await;
        let revoked = admin.execute(&revoke, &[&hash.as_bytes().to_vec()]).await;
        assert_eq!(revoked.expect("revoked"), 1);
        key
    }

    /// A token of a session of the administrator that has just ended.
    pub async fn expired_admin_session(&self) -> String {
        self.admin_session_until(self.test.clock.now()).await
    }

    pub(super) async fn admin_session_until(&self, until: DateTime<Utc>) -> String {
        let token = NewToken::generate(TokenKind::AdminSession);
        let master = &self.test.platform.master;
        let email = Email::parse(&self.admin.email).expect("an address");
        let admin = admins::find_login(master, &email)
            .await
            .expect("found")
            .expect("an administrator");
        let mut tx = master.begin().await.expect("a transaction");
        admins::insert_session(
            &mut tx,
            admin.id,
            &token.hash,
            until,
            until - TimeDelta::hours(24),
        )
        .await
        .expect("a session");
        tx.commit().await.expect("committed");
        token.plain.expose_secret().to_owned()
    }
}
