//! Somebody who can send any SQL inside a tenant's scope: what no request can do, tried on a raw connection.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::helpers::TestPlatform;

/// Two tenants on one lane, and a connection of that lane.
pub struct Intruder {
    pub test: TestPlatform,
    pub client: Client,
    /// The role that the intruder has.
    pub role: String,
    /// The role of the other tenant.
    pub other_role: String,
    /// The login of both.
    pub login: String,
}

/// What the server made of a statement: the texts of its rows, or an SQLSTATE.
pub type Outcome = Result<Vec<Vec<String>>, String>;

impl Intruder {
    /// The intruder is in the scope of tenant `alpha`; tenant `beta` has a contact.
    pub async fn start() -> Self {
        let test = TestPlatform::start().await;
        let alpha = test.onboard("alpha", "cars").await;
        let beta = test.onboard("beta", "cars").await;
        test.admin()
            .await
            .batch_execute(
                "insert into tenant_beta.contacts (id, name, created_at, updated_at)
                 values (gen_random_uuid(), 'Bia', now(), now())",
            )
            .await
            .unwrap();
        let (alpha, beta) = (test.resolved(&alpha).await, test.resolved(&beta).await);
        assert_eq!(alpha.home.lane, beta.home.lane);
        let login = alpha.home.lane.login.clone();
        Self {
            client: test.as_login(&login).await,
            role: alpha.home.role.clone(),
            other_role: beta.home.role.clone(),
            login,
            test,
        }
    }

    /// Tries statements in the scope of `alpha`, in a transaction of their own that is rolled back.
    pub async fn as_tenant(&self, sql: &str) -> Outcome {
        let enter = format!(
            "begin; select pg_catalog.set_config('search_path', 'tenant_alpha, pg_temp', true),
                           pg_catalog.set_config('role', '{}', true)",
            self.role
        );
        self.client
            .batch_execute(&enter)
            .await
            .expect("the scope is entered");
        let outcome = self.send(sql).await;
        self.client
            .batch_execute("rollback")
            .await
            .expect("the scope is left");
        outcome
    }

    /// Tries statements as the login that forgot its scope.
    pub async fn as_login(&self, sql: &str) -> Outcome {
        self.client
            .batch_execute("begin")
            .await
            .expect("a transaction begins");
        let outcome = self.send(sql).await;
        self.client
            .batch_execute("rollback")
            .await
            .expect("a transaction ends");
        outcome
    }

    /// Replaces the names of the roles and sends.
    async fn send(&self, sql: &str) -> Outcome {
        let sql = sql
            .replace("{role}", &self.role)
            .replace("{other_role}", &self.other_role)
            .replace("{login}", &self.login)
            .replace("{database}", self.test.db().name());
        let messages = self.client.simple_query(&sql).await.map_err(|error| {
            let code = error.code().unwrap_or_else(|| panic!("{sql}: {error}"));
            code.code().to_owned()
        })?;
        Ok(messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(
                    (0..row.len())
                        .map(|index| row.get(index).unwrap_or("null").to_owned())
                        .collect(),
                ),
                _ => None,
            })
            .collect())
    }
}
