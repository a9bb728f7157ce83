//! What the routes of every resource do alike. A resource's own file says what it is and calls
//! `behaves_as_a_resource!`; what only that one does is tested there.

use chrono::{DateTime, Utc};
use helixai::domain::clock::Clock;
use serde_json::{Value, json};

use crate::helpers::{Call, TestApp, TestTenant};

/// A resource as these tests need to know it.
pub struct Resource {
    /// Of its list.
    pub path: &'static str,
    /// Of a tenant that has it.
    pub niche: &'static str,
    /// Of a tenant that does not; none when every tenant has it.
    pub other_niche: Option<&'static str>,
    /// A body with nothing more than what must be there.
    pub least: fn() -> Value,
    /// A text field of it.
    pub text: &'static str,
    /// What an empty body lacks, in order.
    pub lacks: &'static [&'static str],
}

/// An instant for clocks that stand still.
pub fn noon() -> DateTime<Utc> {
    "2026-03-10T12:00:00Z".parse().expect("a time")
}

/// A program whose clock stands still, and a tenant.
pub async fn at_noon(niche: &str) -> (TestApp, TestTenant) {
    let app = TestApp::builder().clock(Clock::fixed(noon())).start().await;
    let tenant = app.onboard("tenant-one", niche).await;
    (app, tenant)
}

/// What an item of a catalogue has besides what was said of it when it was made at noon by a program.
pub fn made_at_noon(body: &Value, id: &Value) -> Value {
    let mut item = body.clone();
    for (field, value) in [
        ("id", id.clone()),
        ("version", json!(1)),
        ("photos", json!([])),
        ("published_at", Value::Null),
        ("created_by", Value::Null),
        ("created_at", json!("2026-03-10T12:00:00Z")),
        ("updated_at", json!("2026-03-10T12:00:00Z")),
    ] {
        item[field] = value;
    }
    item
}

/// The ids of the items of a list.
pub fn ids(list: &Value) -> Vec<String> {
    texts(list, "id")
}

/// One field of the items of a list.
pub fn texts(list: &Value, field: &str) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| item[field].as_str().expect("a text").to_owned())
        .collect()
}

impl Resource {
    async fn start(&self) -> (TestApp, TestTenant) {
        let app = TestApp::start().await;
        let tenant = app.onboard("tenant-one", self.niche).await;
        (app, tenant)
    }

    /// Adds an item.
    pub async fn create(&self, app: &TestApp, tenant: &TestTenant, body: &Value) -> Value {
        let call = app.post(self.path).by(tenant).json(body);
        call.await.expect(201).json()
    }

    /// Where an item is.
    pub fn path_of(&self, item: &Value) -> String {
        self.item(item["id"].as_str().expect("an id"))
    }

    fn named(&self, name: &str) -> Value {
        let mut body = (self.least)();
        body[self.text] = json!(name);
        body
    }

    fn item(&self, id: &str) -> String {
        format!("{}/{id}", self.path)
    }

    async fn add(&self, app: &TestApp, tenant: &TestTenant, name: &str) -> Value {
        self.create(app, tenant, &self.named(name)).await
    }

    /// Its life.
    pub async fn is_created_read_changed_and_removed(&self) {
        let (app, tenant) = self.start().await;
        let made = self.add(&app, &tenant, "Primeiro").await;
        assert_eq!(made["version"], 1);
        let path = self.path_of(&made);
        let read = async || app.get(&path).by(&tenant).await;
        assert_eq!(read().await.expect(200).json(), made);
        let list = app.get(self.path).by(&tenant).await.expect(200).json();
        assert_eq!(list, json!({"items": [made], "next_cursor": null}));

        let change = json!({self.text: "Segundo"});
        let changed = app
            .patch(&path)
            .by(&tenant)
            .json(&change)
            .await
            .expect(200)
            .json();
        assert_eq!(
            (&changed[self.text], &changed["version"]),
            (&json!("Segundo"), &json!(2))
        );
        assert_eq!(read().await.expect(200).json(), changed);
        let nothing = app
            .patch(&path)
            .by(&tenant)
            .json(&json!({}))
            .await
            .expect(200)
            .json();
        assert_eq!(nothing[self.text], "Segundo");

        assert_eq!(app.delete(&path).by(&tenant).await.expect(204).text(), "");
        read().await.problem(404, "not_found");
        app.patch(&path)
            .by(&tenant)
            .json(&change)
            .await
            .problem(404, "not_found");
        app.delete(&path).by(&tenant).await.problem(404, "not_found");
        let none = app.get(self.path).by(&tenant).await.expect(200).json();
        assert_eq!(none, json!({"items": [], "next_cursor": null}));
        for id in ["nobody", "0", "0190163d8694739baea5966c26f8ad91"] {
            app.get(&self.item(id))
                .by(&tenant)
                .await
                .problem(404, "not_found");
        }
    }

    /// Who read an older version is told so, and nothing is lost.
    pub async fn a_stale_version_is_a_conflict(&self) {
        let (app, tenant) = self.start().await;
        let made = self.add(&app, &tenant, "Primeiro").await;
        let path = self.path_of(&made);
        let patch = |name: &str, version: i32| {
            let body = json!({self.text: name, "version": version});
            app.patch(&path).by(&tenant).json(&body)
        };
        assert_eq!(patch("Segundo", 1).await.expect(200).json()["version"], 2);
        patch("Terceiro", 1).await.problem(409, "stale_version");
        patch("Terceiro", 3).await.problem(409, "stale_version");
        let read = app.get(&path).by(&tenant).await.expect(200).json();
        assert_eq!(
            (&read[self.text], &read["version"]),
            (&json!("Segundo"), &json!(2))
        );
        // Of two that read the same version, one wins.
        let (one, other) = tokio::join!(patch("Um", 2), patch("Outro", 2));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }

    /// What cannot be read or is not known is refused, and says where.
    pub async fn bad_requests_are_refused(&self) {
        let (app, tenant) = self.start().await;
        let post = || app.post(self.path).by(&tenant);
        let lacks: Vec<_> = self.lacks.iter().map(|field| (*field, "required")).collect();
        post().json(&json!({})).await.refused_fields(&lacks);
        post()
            .json(&json!({self.text: null, "colour": "x"}))
            .await
            .refused_fields(&[("colour", "unknown_field")]);
        post()
            .json(&json!({self.text: 7}))
            .await
            .refused_fields(&[(self.text, "invalid_type")]);
        let mut versioned = (self.least)();
        versioned["version"] = json!(1);
        post()
            .json(&versioned)
            .await
            .refused_fields(&[("version", "unknown_field")]);
        post().json(&json!([])).await.problem(422, "invalid_fields");
        post().text("{").await.problem(400, "malformed_json");
        post().text("").await.problem(400, "malformed_json");
        post()
            .bytes("text/plain", b"{}")
            .await
            .problem(415, "unsupported_media_type");
        post()
            .text(&format!("\"{}\"", "a".repeat(1024 * 1024)))
            .await
            .problem(413, "body_too_large");

        let made = self.add(&app, &tenant, "Primeiro").await;
        let path = self.path_of(&made);
        let patch = |body: Value| app.patch(&path).by(&tenant).json(&body);
        patch(json!({self.text: null}))
            .await
            .refused_fields(&[(self.text, "required")]);
        patch(json!({"id": "x"}))
            .await
            .refused_fields(&[("id", "unknown_field")]);
        patch(json!({"version": "1"}))
            .await
            .refused_fields(&[("version", "invalid_type")]);
        let list = app.get(self.path).by(&tenant).await.expect(200).json();
        assert_eq!(list["items"], json!([made]), "nothing of it was done");
    }

    /// The list's own parameters.
    pub async fn bad_parameters_are_refused(&self) {
        let (app, tenant) = self.start().await;
        for (query, field, code) in [
            ("limit=0", "limit", "out_of_range"),
            ("limit=201", "limit", "out_of_range"),
            ("limit=many", "limit", "out_of_range"),
            ("limit=", "limit", "out_of_range"),
            ("cursor=AAAA", "cursor", "invalid_cursor"),
            ("cursor=", "cursor", "invalid_cursor"),
            ("q=", "q", "required"),
            ("q=%00", "q", "invalid_format"),
            ("page=2", "page", "unknown_field"),
            ("limit=1&limit=2", "limit", "repeated"),
        ] {
            let answer = app.get(&format!("{}?{query}", self.path)).by(&tenant).await;
            answer.refused_fields(&[(field, code)]);
        }
        let both = app
            .get(&format!("{}?limit=0&cursor=x", self.path))
            .by(&tenant)
            .await;
        both.refused_fields(&[("limit", "out_of_range"), ("cursor", "invalid_cursor")]);
        let most = app.get(&format!("{}?limit=200", self.path)).by(&tenant).await;
        most.expect(200);
    }

    /// Page by page, all that was there at the first page is seen once, even when all were made at the same moment and
    /// others come and go in between.
    pub async fn pages_show_each_item_once(&self) {
        let (app, tenant) = at_noon(self.niche).await;
        let mut made = Vec::new();
        for number in 0..9 {
            let item = self.add(&app, &tenant, &format!("Item {number}")).await;
            assert_eq!(item["created_at"], "2026-03-10T12:00:00Z");
            made.push(item["id"].as_str().unwrap().to_owned());
        }
        // Made at the same moment: ordered by id.
        made.sort_unstable();
        made.reverse();

        let mut seen = Vec::new();
        let mut cursor = String::new();
        for (page, length) in [3, 3, 2].into_iter().enumerate() {
            let path = format!("{}?limit=3{cursor}", self.path);
            let list = app.get(&path).by(&tenant).await.expect(200).json();
            let shown = ids(&list);
            assert_eq!(shown.len(), length, "page {page}");
            seen.extend(shown);
            match list["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => assert_eq!(page, 2),
            }
            if page == 0 {
                self.add(&app, &tenant, "A newcomer").await;
                let gone = app.delete(&self.item(&made[4])).by(&tenant).await;
                gone.expect(204);
                // The last one seen may go, too: the cursor is a place, not an item.
                app.delete(&self.item(&made[2])).by(&tenant).await.expect(204);
            }
        }
        made.remove(4);
        assert_eq!(seen, made);
    }

    /// Creating again with the same key is not creating again.
    pub async fn creating_is_idempotent(&self) {
        let (app, tenant) = self.start().await;
        let post = |name: &str, key: &str| {
            let call = app.post(self.path).by(&tenant).json(&self.named(name));
            call.idempotency_key(key)
        };
        let first = post("Primeiro", "one").await;
        let again = post("Primeiro", "one").await;
        assert_eq!(again.expect(201).json(), first.expect(201).json());
        post("Segundo", "one")
            .await
            .problem(422, "idempotency_key_reused");
        // Keys belong to who sends them.
        let token = app.log_in(&tenant).await;
        let other = post("Primeiro", "one").bearer(&token).await.expect(201).json();
        assert_ne!(other["id"], first.json()["id"]);
        // At the same time.
        let (one, other) = tokio::join!(post("Ao mesmo tempo", "two"), post("Ao mesmo tempo", "two"));
        assert_eq!(one.expect(201).json(), other.expect(201).json());
        // A refused request leaves its key free.
        let refused = app
            .post(self.path)
            .by(&tenant)
            .json(&json!({}))
            .idempotency_key("three");
        refused.await.problem(422, "invalid_fields");
        post("Terceiro", "three").await.expect(201);
        post("Quarto", "").await.problem(422, "invalid_fields");
        post("Quarto", &"k".repeat(201))
            .await
            .problem(422, "invalid_fields");
        let list = app.get(self.path).by(&tenant).await.expect(200).json();
        assert_eq!(
            texts(&list, self.text),
            ["Terceiro", "Ao mesmo tempo", "Primeiro", "Primeiro"]
        );
    }

    /// A resource of another niche does not exist, and only who may use the tenant learns that.
    pub async fn is_of_its_niche(&self) {
        let Some(other) = self.other_niche else { return };
        let app = TestApp::start().await;
        let tenant = app.onboard("tenant-one", other).await;
        let item = self.item("0190163d-8694-739b-aea5-966c26f8ad91");
        let calls: [Call; 5] = [
            app.get(self.path),
            app.post(self.path).json(&json!({})),
            app.get(&item),
            app.patch(&item).json(&json!({})),
            app.delete(&item),
        ];
        for call in calls {
            call.clone().by(&tenant).await.problem(404, "not_found");
            call.of(&tenant).await.problem(401, "unauthorized");
        }
    }
}

/// Makes each of the above a test of the module that calls it.
macro_rules! behaves_as_a_resource {
    ($resource:expr) => {
        crate::http::resource::behaves_as_a_resource!(
            $resource,
            is_created_read_changed_and_removed,
            a_stale_version_is_a_conflict,
            bad_requests_are_refused,
            bad_parameters_are_refused,
            pages_show_each_item_once,
            creating_is_idempotent,
            is_of_its_niche,
        );
    };
    ($resource:expr, $($behaviour:ident,)+) => {
        $(
            #[tokio::test]
            async fn $behaviour() {
                $resource.$behaviour().await;
            }
        )+
    };
}

pub(crate) use behaves_as_a_resource;
