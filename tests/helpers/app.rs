//! The whole program on a port of its own: what `serve` runs, spoken to over HTTP.
//!
//! ```ignore
//! let app = TestApp::start().await;
//! let garage = app.onboard("garage-alpha", "cars").await;
//! let lead = app.post("/api/leads").by(&garage).json(&json!({"name": "Ana"})).await.expect(201).json();
//! app.get("/api/leads").of(&garage).await.problem(401, "unauthorized");
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use helixai::app::App;
use helixai::db::master::admins;
use helixai::domain::clock::Clock;
use helixai::domain::email::Email;
use helixai::platform::Platform;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::call::Call;
use super::line::Line;
use super::platform::{Builder, TestPlatform};

/// The domain below which the tests' tenants live.
pub const BASE_DOMAIN: &str = "helixai.test";
const ADMIN_EMAIL: &str = "admin@helixai.test";
const ADMIN_PASSWORD: &str = "a platform administrator";
/// Of [`ADMIN_PASSWORD`]. Hashing takes its time on purpose; each test would wait for it.
const ADMIN_PASSWORD_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$N25Xt/s7GFKKQwJpY+498w$oF04CCUHj2Ue8kaqh+qhkyJatICg2SNQL4m5swRh9GI";

/// What differs from the defaults; [`AppBuilder::start`] makes it so.
pub struct AppBuilder(Builder);

impl AppBuilder {
    /// Any setting.
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        Self(self.0.set(key, value))
    }

    /// Puts a proxy between program and database that counts round trips: `app.test.proxy()`.
    pub fn proxied(self) -> Self {
        Self(self.0.proxied())
    }

    /// Another clock than the machine's.
    pub fn clock(self, clock: Clock) -> Self {
        Self(self.0.clock(clock))
    }

    /// Makes a database, the platform on it, the server of both, and an administrator who has logged in.
    pub async fn start(self) -> TestApp {
        let test = self.0.start().await;
        let first = Process::start(test.platform.clone());
        let mut app = TestApp {
            client: client(),
            address: first.address,
            admin: TestAdmin {
                email: ADMIN_EMAIL.to_owned(),
                password: ADMIN_PASSWORD.to_owned(),
                token: String::new(),
            },
            processes: Mutex::new(vec![first]),
            test,
        };
        add_admin(&app.test.platform, ADMIN_EMAIL).await;
        let until = app.test.clock.now() + Duration::from_hours(12);
        app.admin.token = app.admin_session_until(until).await;
        app
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client")
}

async fn add_admin(platform: &Platform, email: &str) {
    let email = Email::parse(email).expect("an address");
    let mut tx = platform.master.begin().await.expect("a transaction");
    admins::upsert_admin(
        &mut tx,
        &email,
        "Ada Min",
        ADMIN_PASSWORD_HASH,
        platform.clock.now(),
    )
    .await
    .expect("an administrator");
    tx.commit().await.expect("committed");
}

/// An administrator of the platform.
pub struct TestAdmin {
    /// To log in with.
    pub email: String,
    /// To log in with.
    pub password: String,
    /// Of a living session.
    pub token: String,
}

/// A tenant onboarded over HTTP.
#[derive(Debug, Clone)]
pub struct TestTenant {
    /// Subdomain and `X-Tenant-Key`.
    pub key: String,
    /// Its id.
    pub id: String,
    /// Of the business.
    pub name: String,
    /// Where its data is.
    pub schema: String,
    /// With all scopes.
    pub api_key: String,
    /// The first user's address.
    pub owner_email: String,
    /// The first user's password.
    pub owner_password: String,
}

impl TestTenant {
    /// The host name of its own address.
    pub fn host(&self) -> String {
        format!("{}.{BASE_DOMAIN}", self.key)
    }
}

/// One running server.
pub struct Process {
    /// Where it listens.
    pub address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    stop: CancellationToken,
    running: Option<JoinHandle<std::io::Result<()>>>,
}

impl Process {
    fn start(platform: Platform) -> Self {
        let app = App::build(platform).expect("the server starts");
        let (address, metrics_address) = (app.address(), app.metrics_address());
        let stop = CancellationToken::new();
        let running = tokio::spawn(app.run(stop.clone().cancelled_owned()));
        Self {
            address,
            metrics_address,
            stop,
            running: Some(running),
        }
    }

    /// Asks it to end; [`Process::ended`] waits for it.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it has ended in order.
    pub async fn ended(mut self) {
        let running = self.running.take().expect("it runs");
        running.await.expect("no panic").expect("ended in order");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The program, its database and an HTTP client.
pub struct TestApp {
    /// An administrator who has logged in.
    pub admin: TestAdmin,
    /// Where the first process listens.
    pub address: SocketAddr,
    client: reqwest::Client,
    processes: Mutex<Vec<Process>>,
    /// The platform underneath, its clock and its database. Last, so that it is dropped last.
    pub test: TestPlatform,
}

impl TestApp {
    /// With the defaults.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// To change something first.
    pub fn builder() -> AppBuilder {
        let defaults = TestPlatform::builder()
            .set("server.port", 0)
            .set("server.workers", 1)
            .set("server.base_domain", BASE_DOMAIN)
            // Who wants it runs it: clocks of tests jump, and what happens then is theirs to say.
            .set("billing.clock", false)
            // Nobody is there: a test that pays says where its gateway is.
            .set("gateways.mercado_pago_url", "http://127.0.0.1:9")
            .set("gateways.patience_ms", 1)
            // Nobody is there; who wants somebody starts one.
            .set("channels.telegram_url", "http://127.0.0.1:1")
            .set("channels.whatsapp_url", "ws://127.0.0.1:1")
            .set("channels.whatsapp_version", "2.3000.1")
            .set("channels.whatsapp_cloud_url", "http://127.0.0.1:1")
            .set("metrics.bind", "");
        AppBuilder(defaults)
    }

    /// A second process on the same database: the same settings, nothing shared. It lives as long as the test.
    pub async fn second_process(&self) -> SocketAddr {
        let process = Process::start(self.test.second().await);
        let address = process.address;
        self.processes.lock().await.push(process);
        address
    }

    /// A process that reaches the database over a line which can be cut.
    pub async fn process_over(&self, line: &Line) -> SocketAddr {
        let mut settings = self.test.settings.clone();
        settings.database.url = Some(line.url(&self.test.db().url()).into());
        let platform = Platform::start(settings, self.test.clock.clone())
            .await
            .expect("the platform starts");
        let process = Process::start(platform);
        let address = process.address;
        self.processes.lock().await.push(process);
        address
    }

    /// Takes the first process, to stop it.
    pub async fn first_process(&self) -> Process {
        self.processes.lock().await.remove(0)
    }

    /// Where the first process shows its metrics, if not only to whoever has the token.
    pub async fn metrics_address(&self) -> Option<SocketAddr> {
        self.processes.lock().await.first()?.metrics_address
    }

    /// Asks until it is so: for what another thread or process does in its own time.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, mut is_so: impl FnMut() -> F) {
        for _ in 0..2000 {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it never comes to be that {what}");
    }

    /// A request of any method.
    pub fn call(&self, method: Method, path: &str) -> Call {
        Call::new(self.client.clone(), self.address, method, path)
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    /// `POST`.
    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    /// `PUT`.
    pub fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, path)
    }

    /// `PATCH`.
    pub fn patch(&self, path: &str) -> Call {
        self.call(Method::PATCH, path)
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    /// What an onboarding request says; to be changed before it is sent.
    pub fn onboarding(key: &str, niche: &str) -> Value {
        json!({
            "tenant_key": key, "name": format!("Empresa {key}"), "niche": niche,
            "owner": {"email": format!("dono@{key}.example"), "name": "Dono da Silva"},
        })
    }

    /// Onboards a tenant over HTTP.
    pub async fn onboard(&self, key: &str, niche: &str) -> TestTenant {
        let call = self.post("/api/admin/tenants").bearer(&self.admin.token);
        let answer = call.json(&Self::onboarding(key, niche)).await;
        let tenant = answer.expect(201).json();
        let text = |pointer: &str| -> String {
            let value = tenant.pointer(pointer).and_then(Value::as_str);
            value
                .unwrap_or_else(|| panic!("no {pointer} in {tenant}"))
                .to_owned()
        };
        TestTenant {
            key: text("/tenant_key"),
            id: text("/id"),
            name: text("/name"),
            schema: text("/schema_name"),
            api_key: text("/api_key"),
            owner_email: text("/owner/email"),
            owner_password: text("/owner/temporary_password"),
        }
    }

    /// Logs the owner in and answers the token.
    pub async fn log_in(&self, tenant: &TestTenant) -> String {
        self.log_in_user(tenant, &tenant.owner_email, &tenant.owner_password)
            .await
    }

    /// Logs a user of a tenant in and answers the token.
    pub async fn log_in_user(&self, tenant: &TestTenant, email: &str, password: &str) -> String {
        let call = self.post("/api/sessions").of(tenant);
        let answer = call.json(&json!({"email": email, "password": password})).await;
        token(&answer.expect(201).json())
    }

    /// Logs the administrator in once more and answers the token.
    pub async fn log_in_admin(&self) -> String {
        self.log_in_admin_as(&self.admin.email).await
    }

    /// Adds another administrator, logs them in and answers the token.
    pub async fn another_admin(&self, email: &str) -> String {
        add_admin(&self.test.platform, email).await;
        self.log_in_admin_as(email).await
    }

    async fn log_in_admin_as(&self, email: &str) -> String {
        let call = self.post("/api/admin/sessions");
        let answer = call
            .json(&json!({"email": email, "password": self.admin.password}))
            .await;
        token(&answer.expect(201).json())
    }
}

fn token(session: &Value) -> String {
    session["token"].as_str().expect("a token").to_owned()
}
