//! Rows that exist, made through the API, and the paths that name them.

use std::collections::BTreeMap;

use helixai::domain::ids::DeviceCopyId;
use reqwest::Method;

use super::bodies;
use super::document::{Document, Operation};
use crate::helpers::{TestApp, TestTenant, pictures};

/// A tenant with a row in each of its collections.
pub struct Rows {
    /// Whose.
    pub tenant: TestTenant,
    /// A token of its owner.
    pub owner: String,
    /// A word that is in each of its rows and belongs to nobody else.
    pub word: String,
    /// By the path of one row, such as `/api/leads/{id}`: what stands for the braces, from left to right.
    named: BTreeMap<String, Vec<String>>,
}

impl Rows {
    /// Makes a row in each collection that the tenant has.
    pub async fn make(app: &TestApp, document: &Document, tenant: TestTenant) -> Self {
        let owner = app.session_of(&tenant, app.owner_of(&tenant).await).await;
        let mut rows = Self {
            word: tenant.key.clone(),
            owner,
            tenant,
            named: BTreeMap::new(),
        };
        let mut paths: Vec<&str> = document
            .operations
            .iter()
            .map(|operation| operation.path.as_str())
            .filter(|path| path.contains('{'))
            .collect();
        // Collections before what is inside their rows, and bots before what else they are called.
        paths.sort_by_key(|path| (path.matches('{').count(), !path.starts_with("/api/bots/")));
        for path in paths {
            let end = path.rfind('}').expect("a parameter") + 1;
            if !rows.named.contains_key(&path[..end]) {
                rows.make_one(app, document, &path[..end]).await;
            }
        }
        rows
    }

    /// Makes the row that `path`, which ends in a parameter, names.
    async fn make_one(&mut self, app: &TestApp, document: &Document, path: &str) {
        let (collection, param) = path.rsplit_once('/').expect("a path");
        let param = param.trim_matches(['{', '}']);
        let Some(mut names) = self.names(collection) else {
            return; // The row around it cannot be had, because the tenant has another niche.
        };
        // Rows that no POST makes.
        if param == "tenant_key" {
            names.push(self.tenant.key.clone());
            self.named.insert(path.to_owned(), names);
            return;
        }
        if param == "session" {
            // Another name of a bot of WhatsApp.
            names.extend(self.named["/api/bots/{id}"].clone());
            self.named.insert(path.to_owned(), names);
            return;
        }
        if collection.ends_with("/invoices") {
            // An administrator charges; the tenant only sees what it owes.
            names.push(invoice(app, &self.tenant).await);
            self.named.insert(path.to_owned(), names);
            return;
        }
        if collection.ends_with("/payment-findings") {
            names.push(finding(app).await);
            self.named.insert(path.to_owned(), names);
            return;
        }
        if collection == "/api/notifications" {
            names.push(notification(app, &self.tenant).await);
            self.named.insert(path.to_owned(), names);
            return;
        }
        if collection.ends_with("/session-backups") {
            // A bot that is linked to a telephone makes it.
            names.push(session_backup(app, &self.tenant, &names).await);
            self.named.insert(path.to_owned(), names);
            return;
        }
        if collection.starts_with("/hooks/") {
            return; // Whoever comes there is known by a signature, see tests/billing/payments and tests/channels.
        }
        if collection == "/photos" {
            return; // By their own ids at no other tenant: tests/photos.
        }
        let Some(create) = document.find(&Method::POST, collection) else {
            panic!("nothing makes the row of {path}: say in tests/isolation/rows.rs how to make one")
        };
        let answer = self.create(app, document, create).await;
        if answer.status == 404 {
            return; // Another niche has it.
        }
        assert_eq!(answer.status, 201, "{}: {}", create.id, answer.describe());
        let row = answer.json();
        // What is made by files comes as a list.
        let list = row["items"].as_array().filter(|_| row["id"].is_null());
        let row = list.and_then(|items| items.last()).unwrap_or(&row);
        let name = [param, "id"].into_iter().find_map(|field| row[field].as_str());
        let name = name.unwrap_or_else(|| panic!("{}: neither {param} nor id in {row}", create.id));
        names.push(name.to_owned());
        self.named.insert(path.to_owned(), names);
    }

    async fn create(&self, app: &TestApp, document: &Document, create: &Operation) -> crate::helpers::Answer {
        let path = self.fill(&create.path).expect("the rows around it exist");
        let call = app.post(&path).of(&self.tenant).bearer(&self.owner);
        match bodies::valid(document, create, &self.word) {
            Some(mut body) => {
                // Rows that the body cannot do without, made before.
                for (field, row) in [
                    ("contact_id", "/api/contacts/{id}"),
                    ("customer_id", "/api/customers/{id}"),
                    ("template_id", "/api/message-templates/{id}"),
                    ("instance_id", "/api/bots/{id}"),
                ] {
                    if body.get(field).is_some() {
                        let name = self.names(row).expect("a row that was made before");
                        body[field] = name.concat().into();
                    }
                }
                if create.id == "create_scheduled_message" {
                    let name = self
                        .names("/api/conversations/{id}")
                        .expect("a row that was made before");
                    body["conversation_id"] = name.concat().into();
                    body["body"] = self.word.clone().into();
                    body["at"] = "2099-12-24T18:00".into();
                }
                if create.id == "create_broadcast" {
                    body["body"] = self.word.clone().into();
                }
                if create.id == "create_bot" {
                    body["is_active"] = false.into();
                    body["channel"] = "whatsapp_web".into();
                    body.as_object_mut().expect("an object").remove("token");
                }
                call.json(&body).await
            }
            None if create.takes_files() => call.photos(&[&pictures::photo()]).await,
            None => call.await,
        }
    }

    /// What stands for the braces of `path`; `None` when the tenant has no such row.
    fn names(&self, path: &str) -> Option<Vec<String>> {
        match path.rfind('}') {
            None => Some(Vec::new()),
            Some(end) => self.named.get(&path[..=end]).cloned(),
        }
    }

    /// `path` with this tenant's rows; `None` when it has none of that kind.
    pub fn fill(&self, path: &str) -> Option<String> {
        let names = self.names(path)?;
        Some(filled(path, names.iter().map(String::as_str)))
    }

    /// What must never be in an answer to another tenant.
    pub fn secrets(&self) -> Vec<String> {
        let tenant = &self.tenant;
        let mut secrets = vec![
            self.word.clone(),
            tenant.id.clone(),
            tenant.name.clone(),
            tenant.schema.clone(),
            tenant.api_key.clone(),
            self.owner.clone(),
        ];
        secrets.extend(self.named.values().flatten().cloned());
        secrets.sort();
        secrets.dedup();
        secrets
    }
}

/// Charges a tenant for something; the invoice's id.
async fn invoice(app: &TestApp, tenant: &TestTenant) -> String {
    let path = format!("/api/admin/tenants/{}/invoices", tenant.key);
    let items = serde_json::json!({"items": [{"description": "Um robô", "unit_cents": 100}]});
    let call = app.post(&path).bearer(&app.admin.token).json(&items);
    let invoice = call.await.expect(201).json();
    invoice["id"].as_str().expect("an id").to_owned()
}

/// Keeps something in the place of a backup of a bot's session; its id.
async fn session_backup(app: &TestApp, tenant: &TestTenant, bot: &[String]) -> String {
    let of = (tenant.id.parse().expect("an id"), bot[0].parse().expect("an id"));
    let copy = DeviceCopyId::new();
    let folder = &app.test.platform.channels.copies.folder;
    folder.put(of, copy, vec![7]).await.expect("kept");
    copy.to_string()
}

/// Has the tenant's owner told that a bot is in need of them; the notification's id.
async fn notification(app: &TestApp, tenant: &TestTenant) -> String {
    let made = format!(
        "insert into {0}.notifications (id, user_id, kind, instance_id, created_at)
         select gen_random_uuid(), u.id, 'bot_needs_person', i.id, now() from {0}.users u, {0}.instances i
         where u.role = 'owner' limit 1 returning id::text",
        tenant.schema
    );
    let admin = app.test.admin().await;
    admin.query_one(&made, &[]).await.expect("a notification").get(0)
}

/// What a gateway tells and nobody expected, of an account of the platform; the finding's id.
async fn finding(app: &TestApp) -> String {
    let made = "with account as (
            insert into master.gateway_accounts (id, gateway, name, credentials_sealed, status, created_at, updated_at)
            values (gen_random_uuid(), 'asaas', 'Conta', 'none', 'disabled', now(), now()) returning id)
        insert into master.payment_findings (account_id, gateway_payment_id, kind, amount_cents, currency, noted_at)
        select id, 'pay_1', 'amount', 100, 'BRL', now() from account returning id::text";
    let admin = app.test.admin().await;
    admin.query_one(made, &[]).await.expect("a finding").get(0)
}

/// `path` with `names` for its braces.
pub fn filled<'a>(path: &str, mut names: impl Iterator<Item = &'a str>) -> String {
    let parts = path.split('/').map(|part| match part.starts_with('{') {
        true => names.next().expect("a name for each parameter"),
        false => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// `path` with ids that nobody has.
pub fn filled_with_strangers(path: &str) -> String {
    let nobody = uuid::Uuid::now_v7().to_string();
    filled(path, std::iter::repeat(nobody.as_str()))
}
