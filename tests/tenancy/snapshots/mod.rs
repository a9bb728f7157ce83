//! Snapshots: what is in them, what is refused, and what becomes of a tenant that is restored from one.

mod backup;
mod copy;
mod damage;
mod delete;
mod encrypted;
mod export;
#[cfg(feature = "kill_points")]
mod killed;
mod masked;
mod over;
mod restore;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use helixai::config::Settings;
use helixai::domain::clock::Clock;
use helixai::domain::tenant_key::TenantKey;
use helixai::platform::{Platform, doctor};
use helixai::tenancy::keeper::{BackedUp, KeeperError, OnProgress, Purge, RestoreRequest, Restored, Target};
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::helpers::{TestPlatform, cli_origin};

/// Tables whose rows never come back.
const FORGOTTEN: [&str; 6] = [
    "sessions",
    "password_links",
    "socket_tickets",
    "login_throttle",
    "notifications",
    "idempotency_keys",
];

/// A platform and a folder for files.
pub struct Case {
    pub test: TestPlatform,
    pub folder: TempDir,
}

impl Case {
    pub async fn start() -> Self {
        Self {
            test: TestPlatform::start().await,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A garage with rows in every table.
    pub async fn garage(&self, key: &str) -> String {
        let made = self.test.onboard(key, "cars").await;
        fill(&self.test.admin().await, &made.schema_name).await;
        made.schema_name
    }

    pub async fn backup(&self, key: &str, name: &str) -> BackedUp {
        backup(&self.test.platform, key, self.file(name))
            .await
            .expect("a backup")
    }

    pub async fn backup_encrypted(&self, key: &str, name: &str) -> BackedUp {
        let target = Target {
            file: self.file(name),
            encrypted: true,
        };
        let keeper = &self.test.platform.keeper;
        keeper
            .backup(&tenant_key(key), target, cli_origin(), &silent())
            .await
            .expect("a backup")
    }

    pub async fn restore(&self, name: &str, key: Option<&str>) -> Result<Restored, KeeperError> {
        restore(&self.test.platform, self.file(name), key).await
    }

    pub async fn delete(&self, key: &str) {
        self.test
            .platform
            .keeper
            .purge(&tenant_key(key), Purge::Anything, cli_origin())
            .await
            .expect("the tenant is deleted");
    }

    /// Nothing is missing, stray or counted wrongly.
    pub async fn sound(&self) {
        sound(&self.test.settings).await;
    }
}

/// As [`Case::sound`], of any platform.
pub async fn sound(settings: &Settings) {
    assert_eq!(findings(settings).await, [""; 0]);
}

/// What the doctor says of a platform, less what the test's server is like.
pub async fn findings(settings: &Settings) -> Vec<String> {
    let doctor = doctor(settings, 1, &Clock::system()).expect("the settings are right");
    doctor
        .examine()
        .await
        .into_iter()
        .filter(|finding| {
            !["locks", "wal_level", "durability", "passwords", "connections"].contains(&finding.check)
        })
        .map(|finding| format!("{}: {}", finding.check, finding.what))
        .collect()
}

pub fn tenant_key(key: &str) -> TenantKey {
    TenantKey::parse(key).expect("a key")
}

pub fn silent() -> OnProgress {
    Arc::new(|_, _, _| {})
}

pub async fn backup(platform: &Platform, key: &str, file: PathBuf) -> Result<BackedUp, KeeperError> {
    platform
        .keeper
        .backup(&tenant_key(key), &file, cli_origin(), &silent())
        .await
}

pub async fn restore(platform: &Platform, file: PathBuf, key: Option<&str>) -> Result<Restored, KeeperError> {
    let request = RestoreRequest {
        file,
        key: key.map(tenant_key),
        any_platform: false,
    };
    platform.keeper.restore(request, cli_origin(), &silent()).await
}

/// All rows of all tables, as text, in the order of that text; generated columns included.
pub async fn content(admin: &Client, schema: &str) -> BTreeMap<String, Vec<String>> {
    let tables = admin
        .query(
            "select tablename::text from pg_tables where schemaname = $1 and tablename !~ '^schema_history' order by 1",
            &[&schema],
        )
        .await
        .expect("tables");
    let mut content = BTreeMap::new();
    for table in tables {
        let table: String = table.get(0);
        let rows = admin
            .query(
                &format!("select t::text from {schema}.\"{table}\" t order by 1"),
                &[],
            )
            .await
            .expect("rows");
        content.insert(table, rows.iter().map(|row| row.get(0)).collect());
    }
    content
}

/// As [`content`], of the tables that come back.
pub async fn kept(admin: &Client, schema: &str) -> BTreeMap<String, Vec<String>> {
    let mut content = content(admin, schema).await;
    content.retain(|table, _| !FORGOTTEN.contains(&table.as_str()));
    content
}

/// Rows in every table of a garage, with what text formats stumble over.
pub async fn fill(admin: &Client, schema: &str) {
    let hash = "decode(repeat('ab', 31) || lpad(to_hex(n), 2, '0'), 'hex')";
    admin
        .batch_execute(&format!(
            r#"
            set search_path = {schema};
            insert into users (id, email, name, password_hash, role, status, created_at, updated_at)
            select gen_random_uuid(), 'agent' || n || '@garage.example', E'Zé\tda \\ Silva\n' || n, '$argon2id$v=19$x', 'agent',
                   'active', now(), now() from generate_series(1, 3) n;
            insert into sessions (id, user_id, token_hash, created_at, expires_at)
            select gen_random_uuid(), id, {hash}, now(), now() + interval '1 day'
            from (select id, row_number() over () n0 from users) u, lateral (select u.n0::int as n) s;
            insert into api_keys (id, name, prefix, key_hash, scopes, created_at)
            select gen_random_uuid(), 'k"ey,{{}}', 'abcdefgh', {hash}, array['read'], now() from generate_series(1, 2) n;
            insert into login_throttle values ('x', 3, now(), null);
            do $$ begin
                -- Not there in older templates.
                if to_regclass('password_links') is not null then
                    insert into password_links (token_hash, user_id, purpose, created_at, expires_at)
                    select {hash}, id, 'reset', now(), now() + interval '1 hour'
                    from (select id, 9 as n from users order by id limit 1) u;
                end if;
            end $$;
            insert into settings values ('bot.greeting', '{{"text": "Olá, \\ \"você\" \u00e9\n", "n": 1.10}}', now()), ('empty', 'null', now());
            insert into contacts (id, name, phone, email, created_at, updated_at)
            select gen_random_uuid(), nullif('Contato ' || n, 'Contato 3'), '+55119876543' || n, null, now(), now()
            from generate_series(10, 19) n;
            insert into lead_stages values ('lost_twice', 'Perdido 2×', 'Lost twice', 7);
            insert into leads (id, name, phone, notes, stage, contact_id, assigned_to, created_at, updated_at)
            select gen_random_uuid(), 'Cliente ' || n, '+5511987654' || n, E'\\N \\. linha\r\n 日本 🚗', 'new',
                   (select id from contacts order by id limit 1), (select id from users order by id limit 1), now(), now()
            from generate_series(100, 160) n;
            insert into conversations (id, contact_id, channel, instance_id, external_id, status, last_message_at, created_at, updated_at)
            select gen_random_uuid(), id, 'telegram', gen_random_uuid(), 'chat-' || id, 'open', now(), now(), now() from contacts;
            insert into messages (id, conversation_id, instance_id, direction, author, kind, body, status, created_at)
            select gen_random_uuid(), c.id, c.instance_id, 'inbound', 'contact', 'text', 'Oi ' || n, 'received', now()
            from conversations c, generate_series(1, 20) n;
            insert into outbox (id, kind, payload, state, due_at, max_attempts, created_at, updated_at)
            select gen_random_uuid(), 'send_message', '{{"to": 1}}', 'sent', now(), 3, now(), now() from generate_series(1, 4);
            insert into jobs (id, kind, payload, state, run_at, max_attempts, created_at, updated_at)
            values (gen_random_uuid(), 'sweep', '[]', 'done', now(), 3, now(), now());
            insert into idempotency_keys (scope, key, request_hash, created_at, expires_at)
            select 'user', 'k', {hash}, now(), now() + interval '1 day' from generate_series(1, 1) n;
            insert into audit_log (id, at, actor_kind, action, entity)
            select gen_random_uuid(), now(), 'system', 'lead.create', 'lead' from generate_series(1, 5);
            reset search_path"#
        ))
        .await
        .expect("core is filled");
    if has(admin, schema, "customers").await {
        admin
            .batch_execute(&format!(
                r#"
            set search_path = {schema};
            insert into customer_plans (id, name, price_cents, status, created_at, updated_at)
            values (gen_random_uuid(), 'Plano Ouro', 9990, 'active', now(), now());
            insert into customers (id, contact_id, customer_plan_id, due_day, starts_on, status, document, notes, next_due, created_at, updated_at)
            select gen_random_uuid(), c.id, p.id, 31, '2026-01-01', 'active', '52998224725', 'Cliente antigo', '2026-04-30', now(), now()
            from contacts c, customer_plans p;
            insert into orders (id, customer_id, status, total_cents, notes, created_at, updated_at)
            select gen_random_uuid(), id, 'open', 450, 'Para o Cliente', now(), now() from customers;
            insert into order_lines (order_id, position, description, quantity, unit_cents)
            select id, n, 'Pão do Cliente', 3, 75 from orders, generate_series(1, 2) n;
            insert into dues (id, customer_id, kind, order_id, description, amount_cents, due_date, status, pix_code, created_at, updated_at)
            select gen_random_uuid(), customer_id, 'order', id, 'Pão do Cliente', 450, '2026-03-20', 'open', '0002ABC', now(), now() from orders;
            insert into dues (id, customer_id, kind, month, description, amount_cents, paid_cents, due_date, status, paid_on, created_at, updated_at)
            select gen_random_uuid(), id, 'monthly', '2026-03-01', 'Plano Ouro 03/2026', 9990, 9990, '2026-03-31', 'paid', '2026-03-30',
                   now(), now() from customers;
            insert into due_payments (due_id, id, kind, method, amount_cents, paid_on, charge_id, created_at)
            select id, gen_random_uuid(), 'paid', 'pix', 9990, '2026-03-30', gen_random_uuid(), now() from dues where status = 'paid';
            insert into message_templates (id, name, subject, body, created_at, updated_at)
            values (gen_random_uuid(), 'Lembrete', '{{{{empresa}}}}', E'Olá {{{{nome}}}},\n{{{{pix}}}}', now(), now());
            insert into reminder_rules (id, days, template_id, active, created_at, updated_at)
            select gen_random_uuid(), -3, id, true, now(), now() from message_templates;
            insert into reminders (due_id, days, outbox_id, decided_at)
            select id, -3, gen_random_uuid(), now() from dues;
            reset search_path"#
            ))
            .await
            .expect("customers are filled");
    }
    if has(admin, schema, "conversation_notes").await {
        admin
            .batch_execute(&format!(
                "set search_path = {schema};
                 insert into socket_tickets (token_hash, session_id, created_at, expires_at)
                 select token_hash, id, now(), now() + interval '30 seconds' from sessions;
                 insert into conversation_notes (id, conversation_id, user_id, body, created_at, updated_at)
                 select gen_random_uuid(), c.id, u.id, 'Cliente de Zé', now(), now() from conversations c, users u;
                 insert into canned_replies (id, shortcut, body, created_at, updated_at)
                 values (gen_random_uuid(), 'ola', E'Olá {{{{nome}}}},\nseja bem-vindo', now(), now());
                 insert into notifications (id, user_id, kind, conversation_id, created_at)
                 select gen_random_uuid(), u.id, 'message_received', c.id, now() from conversations c, users u;
                 reset search_path"
            ))
            .await
            .expect("the inbox is filled");
    }
    if has(admin, schema, "vehicles").await {
        admin
            .batch_execute(&format!(
                "set search_path = {schema};
                 insert into vehicles (id, title, make, model, status, price_cents, published_at, created_at, updated_at)
                 select gen_random_uuid(), 'Fiat Argo ' || n, 'Fiat', 'Argo', 'published', n * 100, now(), now(), now()
                 from generate_series(1, 30) n;
                 insert into vehicle_photos (id, vehicle_id, position, url, created_at)
                 select gen_random_uuid(), v.id, n, 'https://example.com/' || n || '.jpg', now()
                 from vehicles v, generate_series(0, 2) n;
                 reset search_path"
            ))
            .await
            .expect("the catalogue of cars is filled");
    }
}

/// Whether the schema has this table: an older one has fewer.
async fn has(admin: &Client, schema: &str, table: &str) -> bool {
    let name = format!("{schema}.{table}");
    let found = admin
        .query_one("select to_regclass($1) is not null", &[&name])
        .await;
    found.expect("the catalogue").get(0)
}

/// One value of one row.
pub async fn number(admin: &Client, sql: &str) -> i64 {
    admin
        .query_one(sql, &[])
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
        .get(0)
}
