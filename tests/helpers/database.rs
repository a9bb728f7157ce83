//! A database for one test: a copy of a template that has all migrations, dropped when the test ends.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use helixai::db::shard::setup::migrate_database;
use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, Config, NoTls};

const VARIABLE: &str = "HELIXAI_TEST_DATABASE_URL";
/// Who makes the template; the others wait.
const TEMPLATE_LOCK: i64 = 0x0068_785f_7465_7374;

/// A database with the migrations of the registry and of a shard, and with no roles yet.
pub struct TestDb {
    server: String,
    name: String,
}

impl TestDb {
    /// Makes it.
    pub async fn create() -> Self {
        let server = server_url();
        let admin = connect(&server).await;
        let template = ensure_template(&admin, &server).await;
        Self::copy(server, &admin, &template).await
    }

    /// Makes one in which nothing has been migrated.
    pub async fn create_empty() -> Self {
        let server = server_url();
        let admin = connect(&server).await;
        Self::copy(server, &admin, "template0").await
    }

    async fn copy(server: String, admin: &Client, template: &str) -> Self {
        let name = format!("helixai_test_{}", uuid::Uuid::now_v7().simple());
        admin
            .batch_execute(&format!("create database {name} template {template}"))
            .await
            .expect("the test's database is made");
        Self { server, name }
    }

    /// The administrator's address of this database.
    pub fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }

    /// The address of an administrator of this database alone, as a managed server gives: it owns the database and may
    /// make roles, and is no superuser.
    pub async fn owner_url(&self) -> String {
        let name = &self.name;
        connect(&self.server)
            .await
            .batch_execute(&format!(
                "create role {name} login createrole password '{name}'; alter database {name} owner to {name}"
            ))
            .await
            .expect("an owner is made");
        let url = self.url();
        let (_, rest) = url.split_once('@').expect("an address with a user");
        format!("postgres://{name}:{name}@{rest}")
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // On a thread of its own: the test's runtime may be about to end.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(drop_database(&server, &name));
        });
        if dropped.join().is_err() {
            eprintln!("the database {} was not dropped", self.name);
        }
    }
}

async fn drop_database(server: &str, name: &str) {
    // Roles belong to the whole server: they are known by the prefix that the database has noted.
    let prefix: Option<String> = match try_connect(&with_database(server, name)).await {
        Ok(own) => own
            .query_opt("select role_prefix from helixai.shard", &[])
            .await
            .ok()
            .flatten()
            .map(|row| row.get(0)),
        Err(_) => None,
    };
    let admin = connect(server).await;
    admin
        .batch_execute(&format!("drop database if exists {name} with (force)"))
        .await
        .expect("the test's database is dropped");
    if let Some(prefix) = prefix {
        let roles = admin
            .query(
                "select rolname from pg_roles where starts_with(rolname, $1)",
                &[&format!("{prefix}_")],
            )
            .await
            .expect("roles are listed");
        for role in roles {
            // A role that a test gave rights in another database stays behind.
            let drop = format!("drop role \"{}\"", role.get::<_, &str>(0));
            let _ = admin.batch_execute(&drop).await;
        }
    }
    // Its own administrator, where a test made one.
    let _ = admin.batch_execute(&format!("drop role if exists {name}")).await;
}

fn server_url() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} is not set: run the tests by scripts/test, or give the address of a PostgreSQL's administrator")
    })
}

/// The same address with another database.
fn with_database(url: &str, database: &str) -> String {
    let (address, parameters) = match url.split_once('?') {
        Some((address, parameters)) => (address, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let (server, _) = address.rsplit_once('/').expect("an address with a database");
    format!("{server}/{database}{parameters}")
}

async fn connect(url: &str) -> Client {
    try_connect(url).await.expect("the test server answers")
}

async fn try_connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = Config::from_str(url)?.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Made once per server and set of migrations; tests are processes of their own, so the server orders them.
async fn ensure_template(admin: &Client, server: &str) -> String {
    let name = format!("helixai_template_{}", fingerprint());
    let exists = async || -> bool {
        admin
            .query_one(
                "select exists (select from pg_database where datname = $1 and not datallowconn)",
                &[&name],
            )
            .await
            .expect("databases are listed")
            .get(0)
    };
    if exists().await {
        return name;
    }
    admin
        .execute("select pg_advisory_lock($1)", &[&TEMPLATE_LOCK])
        .await
        .expect("lock");
    if !exists().await {
        admin
            .batch_execute(&format!("drop database if exists {name} with (force)"))
            .await
            .expect("a half-made template is dropped");
        admin
            .batch_execute(&format!("create database {name} template template0"))
            .await
            .expect("the template is made");
        let mut inside = connect(&with_database(server, &name)).await;
        migrate_database(&mut inside, true)
            .await
            .expect("the migrations run");
        drop(inside);
        // From here on nobody connects, not even autovacuum: a database in use cannot be copied.
        admin
            .batch_execute(&format!("alter database {name} allow_connections false"))
            .await
            .expect("the template is closed");
        admin
            .execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1",
                &[&name],
            )
            .await
            .expect("the template is left alone");
    }
    admin
        .execute("select pg_advisory_unlock($1)", &[&TEMPLATE_LOCK])
        .await
        .expect("unlock");
    name
}

fn fingerprint() -> String {
    // Also from a package that is deeper down.
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = folders
        .map(|folder| folder.join("master_migrations"))
        .find(|folder| folder.is_dir());
    let root = root.expect("the migrations");
    let mut files: Vec<PathBuf> = [root.clone(), root.join("shard")]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("migrations"))
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.to_string_lossy().as_bytes());
        hash.update(std::fs::read(&file).expect("a migration"));
    }
    hash.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
