//! The database goes away and comes back: clients are told to wait, and nobody has to restart anything.

use std::net::SocketAddr;

use futures_util::future::join_all;
use serde_json::json;

use crate::helpers::{Answer, Call, Line, State, TestApp};
use crate::isolation::bodies;
use crate::isolation::document::{Document, Operation, Plane};
use crate::isolation::rows::Rows;

/// The program behind a line that can be cut, with a tenant.
struct Place {
    app: TestApp,
    line: Line,
    /// Where the process behind the line listens.
    address: SocketAddr,
    rows: Rows,
    document: Document,
}

impl Place {
    async fn start() -> Self {
        let app = TestApp::builder()
            .set("database.wait_timeout_secs", 1)
            .set("database.connect_timeout_secs", 1)
            .set("database.statement_timeout_ms", 2000)
            .set("database.lock_timeout_ms", 1000)
            .set("server.request_timeout_secs", 2)
            .start()
            .await;
        let document = Document::read();
        let rows = Rows::make(&app, &document, app.onboard("garage-alpha", "cars").await).await;
        let line = Line::start(&app.test.db().url()).await;
        let address = app.process_over(&line).await;
        Self {
            app,
            line,
            address,
            rows,
            document,
        }
    }

    fn call(&self, operation: &Operation) -> Option<Call> {
        let path = self.rows.fill(&operation.path)?;
        let call = self.app.call(operation.method.clone(), &path).at(self.address);
        let call = match operation.plane {
            Plane::Tenant if operation.protected => call.of(&self.rows.tenant).bearer(&self.rows.owner),
            Plane::Tenant => call.of(&self.rows.tenant),
            Plane::Admin => call.bearer(&self.app.admin.token),
            Plane::Platform => return None,
        };
        match bodies::valid(&self.document, operation, "odd") {
            Some(body) => Some(call.json(&body)),
            None => Some(call),
        }
    }

    /// Each route of tenants and administrators, answered.
    async fn ask_every_route(&self) -> Vec<Answer> {
        let operations = self.document.operations.iter();
        let calls: Vec<Call> = operations.filter_map(|operation| self.call(operation)).collect();
        join_all(calls.into_iter().map(|call| async move { call.await })).await
    }

    fn get(&self, path: &str) -> Call {
        self.app.get(path).at(self.address)
    }

    async fn is_well(&self) {
        let leads = || self.get("/api/leads").by(&self.rows.tenant);
        self.app
            .until("the tenant is served again", || async {
                leads().await.status == 200
            })
            .await;
        self.get("/readyz").await.expect(200);
        self.get("/api/admin/tenants")
            .bearer(&self.app.admin.token)
            .await
            .expect(200);
        let lead = self.app.post("/api/leads").at(self.address).by(&self.rows.tenant);
        lead.json(&json!({"name": "Ana"})).await.expect(201);
    }
}

#[tokio::test]
async fn while_the_database_is_away_every_route_says_so() {
    let place = Place::start().await;
    place.is_well().await;
    for _ in 0..2 {
        place.line.set(State::Cut);
        for answer in place.ask_every_route().await {
            answer.problem(503, "database_unavailable");
        }
        place.get("/readyz").await.problem(503, "database_unavailable");
        place.get("/healthz").await.expect(200);
        place.get("/api/openapi.json").await.expect(200);
        place.line.set(State::Up);
        place.is_well().await;
    }
}

#[tokio::test]
async fn a_database_that_falls_silent_keeps_nobody_waiting_for_ever() {
    let place = Place::start().await;
    place.is_well().await;
    place.line.set(State::Silent);
    for answer in place.ask_every_route().await {
        answer.expect(503);
    }
    place.get("/readyz").await.expect(503);
    place.get("/healthz").await.expect(200);
    place.line.set(State::Up);
    place.is_well().await;
}

#[tokio::test]
async fn connections_that_the_server_ends_are_replaced() {
    let place = Place::start().await;
    place.is_well().await;
    let admin = place.app.test.admin().await;
    for _ in 0..3 {
        let ended = admin
            .query(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid() and usename <> current_user",
                &[],
            )
            .await;
        assert!(!ended.expect("ended").is_empty());
        place.is_well().await;
    }
}
