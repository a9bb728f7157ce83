//! The program dies as by `kill -9` in the middle of an onboarding; after a restart there is a whole tenant or nothing.
//!
//! The named points are read from the source, so that a new one is tried by itself. Kills at any moment follow.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use helixai::db::Refusal;
use helixai::db::tenant::{Access, Query};
use helixai::domain::clock::Clock;
use helixai::domain::rights::Need;
use helixai::domain::token::ParsedToken;
use helixai::tenancy::provision::ATTEMPTS;
use helixai::tenancy::reconcile::finish_expired;
use serde_json::Value;

use crate::helpers::{Builder, TestPlatform, random_key, tenant_db_of};

const SIGKILL: i32 = 9;

/// A platform whose clock can be moved past a lease, and how to run the program beside it.
pub struct Killed {
    pub test: TestPlatform,
    clock: Clock,
    key: String,
    lane_capacity: u32,
}

impl Killed {
    pub async fn start(lane_capacity: u32) -> Self {
        let (clock, key) = (Clock::fixed(Utc::now()), random_key());
        let builder: Builder = TestPlatform::builder();
        let test = builder
            .clock(clock.clone())
            .set("platform.key", &key)
            .lane_capacity(lane_capacity)
            .start()
            .await;
        Self {
            test,
            clock,
            key,
            lane_capacity,
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_helixai"));
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_clear()
            .env("HELIXAI__DATABASE__URL", self.test.db().url())
            .env("HELIXAI__PLATFORM__KEY", &self.key)
            .env(
                "HELIXAI__STORAGE__FOLDER",
                &self.test.platform.settings.storage.folder,
            )
            .env("HELIXAI__TENANCY__LANE_CAPACITY", self.lane_capacity.to_string());
        command
    }

    /// Onboards `key`; a repetition means the same tenant.
    fn create(&self, key: &str) -> Command {
        self.command(&[
            "tenant",
            "create",
            key,
            "--name",
            "Empresa",
            "--niche",
            "cars",
            "--owner-email",
            "dono@empresa.example",
            "--owner-name",
            "Dono",
            "--idempotency-key",
            key,
            "--json",
        ])
    }

    /// What a restart does, when the dead one's lease has run out.
    pub async fn restart(&self) {
        // The server notices that its clients are dead when it next writes to or reads from them.
        let admin = self.test.admin().await;
        let busy = "select exists (select from pg_stat_activity where datname = current_database()
                                     and pid <> pg_backend_pid() and state <> 'idle')";
        while admin.query_one(busy, &[]).await.unwrap().get(0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.clock.set(Utc::now() + TimeDelta::minutes(10));
        let platform = self.test.second().await;
        finish_expired(&platform.provisioner)
            .await
            .expect("the registry is searched");
        platform
            .keeper
            .finish_expired()
            .await
            .expect("the registry is searched");
        platform.close().await;
        // What follows happens now.
        self.clock.set(Utc::now());
    }

    /// Registry, roles, schemas, memberships, places and ledgers must speak of the same tenants; returns their keys.
    pub async fn consistent(&self) -> Vec<String> {
        let admin = self.test.admin().await;
        let wrong = admin
            .query(
                "with tenant as (select t.*, l.login from master.tenants t join master.lanes l
                                 on l.shard_id = t.shard_id and l.number = t.lane
                                 where not exists (select from master.tenant_archives a
                                                   where a.tenant_id = t.id and not a.holds_place))
                 select 'not active: ' || tenant_key from tenant where status <> 'active'
                 union all
                 select 'no schema: ' || tenant_key from tenant where to_regnamespace(schema_name) is null
                 union all
                 select 'a schema of nobody: ' || nspname from pg_namespace
                 where nspname ~ '^tenant_' and nspname not in (select schema_name from tenant)
                 union all
                 select 'a role of nobody: ' || rolname from pg_roles, helixai.shard
                 where starts_with(rolname, role_prefix || '_tenant_') and rolname not in (select role_name from tenant)
                 union all
                 select 'no membership: ' || tenant_key from tenant where not pg_has_role(login, role_name, 'member')
                 union all
                 select 'not known to its shard: ' || tenant_key from tenant
                 where (role_name, id) not in (select role_name, tenant_id from helixai.tenant_roles)
                 union all
                 select 'on the shard only: ' || role_name from helixai.tenant_roles
                 where tenant_id not in (select id from tenant)
                 union all
                 select 'ledgers: ' || tenant_key from tenant t
                 where (select count(*) from master.tenant_migrations m
                        where m.tenant_id = t.id and m.status = 'applied') <> 2
                 union all
                 select 'subscriptions: ' || tenant_key from tenant t
                 where (select count(*) from master.subscriptions s where s.tenant_id = t.id) <> 1
                 union all
                 select 'a restore under way: ' || id::text from master.tenant_restores
                 union all
                 select 'sealed: ' || tenant_key from tenant where onboarding_sealed is not null
                 union all
                 select 'places of ' || login from master.lanes l
                 where l.tenants_count <> (select count(*) from tenant t where t.login = l.login)",
                &[],
            )
            .await
            .unwrap();
        let wrong: Vec<String> = wrong.iter().map(|row| row.get(0)).collect();
        assert_eq!(wrong, [""; 0]);
        let keys = admin
            .query(
                "select tenant_key from master.tenants where status = 'active' order by tenant_key",
                &[],
            )
            .await
            .unwrap();
        keys.iter().map(|row| row.get(0)).collect()
    }

    /// The repeated command must succeed, and the secrets that it prints must be good.
    async fn repeated(&self, key: &str) {
        let output = ended(self.create(key)).await;
        assert!(
            output.status.success(),
            "{key}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let api_key = find(&answer, "api_key").unwrap_or_else(|| panic!("no API key in {answer}"));
        let token = ParsedToken::parse(&api_key).expect("a token");
        let access = Access::bearer(&token, Need::Write, self.test.clock.now()).expect("a tenant's token");
        let count = Query::<i64>::one("select count(*) from lead_stages", |mut row| row.next());
        let db = tenant_db_of(&self.test.platform, key).await;
        assert!(db.run(&access, count).await.expect("the API key is known").output > 0);
    }
}

/// The text of this name, wherever it is in the answer.
fn find(value: &Value, name: &str) -> Option<String> {
    match value {
        Value::Object(fields) => match fields.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => fields.values().find_map(|field| find(field, name)),
        },
        _ => None,
    }
}

pub async fn ended(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().expect("the program runs"))
        .await
        .unwrap()
}

/// All names in `kill_point!("…")`, by what stands before the dot.
pub fn points(group: &str) -> Vec<String> {
    fn read(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("src") {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                read(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            for part in text.split("kill_point!(\"").skip(1) {
                found.push(part.split('"').next().expect("a name").to_owned());
            }
        }
    }
    let mut found = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    for point in &found {
        let known = [
            "onboard",
            "provision",
            "lane",
            "lifecycle",
            "photos",
            "metering",
            "clock",
            "backup",
            "clone",
            "restore",
            "delete",
            "vault",
            "verify",
            "import",
            "archive",
            "bring_back",
            "rename",
            "move",
            "shard",
            "migrate",
            "mail",
            "jobs",
            "payments",
            "customers",
            "dues",
            "channels",
            "copies",
            "schedules",
        ];
        assert!(
            known.contains(&point.split('.').next().unwrap_or_default()),
            "{point} belongs to no test here"
        );
    }
    found.retain(|point| point.split('.').next() == Some(group));
    found.sort();
    assert!(!found.is_empty(), "no points of {group}");
    found
}

pub async fn must_die(mut command: Command, point: &str) {
    command.env("HELIXAI_KILL_AT", point);
    let output = ended(command).await;
    assert_eq!(
        output.status.signal(),
        Some(SIGKILL),
        "{point}: {} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_onboarding_killed_at_any_point_is_whole_or_nothing() {
    let killed = Killed::start(250).await;
    // The lane is there, so that all of them can be at work at once.
    killed.test.onboard("zero", "general").await;
    let points: Vec<String> = points("onboard").into_iter().chain(points("provision")).collect();
    let keys: Vec<String> = (0..points.len())
        .map(|number| format!("garage-{number}"))
        .collect();
    let dying = keys
        .iter()
        .zip(&points)
        .map(|(key, point)| must_die(killed.create(key), point));
    join_all(dying).await;

    killed.restart().await;
    let found = killed.consistent().await;
    for (key, point) in keys.iter().zip(&points) {
        let intended = point != "onboard.before_intent";
        assert_eq!(found.contains(key), intended, "{point}");
    }
    for key in &keys {
        killed.repeated(key).await;
    }
    assert_eq!(
        killed.consistent().await.len(),
        keys.len() + 1,
        "no repetition made another"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_onboarding_killed_while_a_lane_is_opened_leaves_no_lane_unused() {
    let killed = Killed::start(1).await;
    let points = points("lane");
    for (number, point) in points.iter().enumerate() {
        let key = format!("garage-{number}");
        must_die(killed.create(&key), point).await;
        assert_eq!(killed.consistent().await.len(), number, "{point}");
        killed.repeated(&key).await;
    }
    let lanes: i64 = killed
        .test
        .admin()
        .await
        .query_one(
            "select count(*) from pg_roles, helixai.shard where starts_with(rolname, role_prefix || '_lane_')
             having count(*) = (select count(*) from master.lanes)",
            &[],
        )
        .await
        .expect("as many logins as lanes")
        .get(0);
    assert_eq!(lanes as usize, points.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn onboardings_killed_at_any_moment_are_whole_or_nothing() {
    const KILLS: u32 = 16;
    let killed = Killed::start(250).await;
    let started = Instant::now();
    assert!(ended(killed.create("zero")).await.status.success());
    let mut whole = started.elapsed();
    let mut died = 0;
    for number in 0..KILLS {
        // More of them towards the end: the beginning is reading settings and connecting.
        let moment = whole.mul_f64(0.3 + 0.7 * f64::from(number % 8) / 8.0);
        let mut child = killed
            .create(&format!("garage-{number}"))
            .spawn()
            .expect("the program runs");
        tokio::time::sleep(moment).await;
        child.kill().expect("a signal");
        if child.wait().expect("its end").signal() == Some(SIGKILL) {
            died += 1;
        } else {
            // The machine has less to do than before.
            whole = moment.mul_f64(0.8);
        }
    }
    assert!(died > KILLS / 4, "only {died} were killed before they were done");

    killed.restart().await;
    killed.consistent().await;
    for number in 0..KILLS {
        killed.repeated(&format!("garage-{number}")).await;
    }
    assert_eq!(killed.consistent().await.len() as u32, KILLS + 1);
}

/// The state, the attempts and the error of a tenant.
async fn attempts(killed: &Killed) -> (String, i32, Option<String>) {
    let select = "select status, onboarding_attempts, onboarding_error from master.tenants where tenant_key = 'garage'";
    let row = killed.test.admin().await.query_one(select, &[]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

/// What can never be finished is given up after some attempts, is told of, and can be asked for again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_onboarding_that_cannot_be_finished_is_given_up() {
    let killed = Killed::start(250).await;
    let test = &killed.test;
    let admin = test.admin().await;
    must_die(killed.create("garage"), "onboard.intent").await;
    // Somebody else's schema stands where the tenant's should be.
    admin.batch_execute("create schema tenant_garage").await.unwrap();
    let mut waited = Vec::new();
    for attempt in 1..=ATTEMPTS {
        let until = "select lease_expires_at from master.tenants where tenant_key = 'garage'";
        let until: chrono::DateTime<Utc> = admin.query_one(until, &[]).await.unwrap().get(0);
        killed.clock.set(until - TimeDelta::seconds(1));
        finish_expired(&test.platform.provisioner)
            .await
            .expect("searched");
        assert_eq!(attempts(&killed).await.1, attempt - 1, "not before its time");
        killed.clock.set(until + TimeDelta::seconds(1));
        waited.push(until);
        assert_eq!(
            finish_expired(&test.platform.provisioner)
                .await
                .expect("searched"),
            0
        );
        let (status, made, error) = attempts(&killed).await;
        let expected = if attempt == ATTEMPTS {
            "failed"
        } else {
            "provisioning"
        };
        assert_eq!((status.as_str(), made), (expected, attempt));
        assert!(error.is_some_and(|error| error.contains("42P06")), "why");
    }
    let gaps: Vec<i64> = waited
        .windows(2)
        .map(|two| (two[1] - two[0]).num_seconds())
        .collect();
    assert!(
        gaps.is_sorted() && gaps.last() > Some(&(20 * gaps[0])),
        "{gaps:?}"
    );
    killed.clock.advance(TimeDelta::days(30));
    finish_expired(&test.platform.provisioner)
        .await
        .expect("searched");
    assert_eq!(attempts(&killed).await.0, "failed", "for good");

    let doctor = ended(killed.command(&["doctor", "--json"])).await;
    let findings: Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    let told = findings["findings"].as_array().expect("findings").iter();
    let told: Vec<&Value> = told.filter(|finding| finding["check"] == "onboarding").collect();
    assert_eq!(told.len(), 1, "{findings}");

    let failed = ended(killed.create("garage")).await;
    assert!(!failed.status.success(), "the cause is still there");
    let (status, made, _) = attempts(&killed).await;
    assert_eq!(
        (status.as_str(), made),
        ("provisioning", 1),
        "asked for again, it is counted anew"
    );
    admin.batch_execute("drop schema tenant_garage").await.unwrap();
    killed.restart().await;
    assert_eq!(killed.consistent().await, ["garage"]);
    killed.repeated("garage").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_suspension_killed_half_way_has_stopped_the_tenant_and_can_be_repeated() {
    let killed = Killed::start(250).await;
    killed.test.onboard("garage", "cars").await;
    let db = tenant_db_of(&killed.test.platform, "garage").await;
    let access = killed.test.system();
    let refusal = async || db.run(&access, ()).await.err().and_then(|error| error.refusal());
    for point in points("lifecycle") {
        for (step, left) in [("suspend", Some(Refusal::RoleRevoked)), ("activate", None)] {
            must_die(killed.command(&["tenant", step, "garage"]), &point).await;
            assert_eq!(refusal().await, left, "{step} killed at {point}");
            assert!(
                ended(killed.command(&["tenant", step, "garage"]))
                    .await
                    .status
                    .success()
            );
            assert_eq!(refusal().await, left, "{step} repeated");
        }
    }
    assert_eq!(killed.consistent().await, ["garage"]);
}
