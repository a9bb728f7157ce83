//! A request to the program, and its answer. What every answer must have is checked here.

use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;

use super::app::{BASE_DOMAIN, TestTenant};

/// A request; awaiting it sends it. Without more it goes to the base domain, with no credentials.
#[must_use = "a request is sent when it is awaited"]
#[derive(Clone)]
pub struct Call {
    client: reqwest::Client,
    address: SocketAddr,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Call {
    pub(super) fn new(client: reqwest::Client, address: SocketAddr, method: Method, path: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(BASE_DOMAIN));
        Self {
            client,
            address,
            method,
            path: path.to_owned(),
            headers,
            body: None,
        }
    }

    /// To another process.
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// At the tenant's own address.
    pub fn of(self, tenant: &TestTenant) -> Self {
        self.host(&tenant.host())
    }

    /// At the tenant's own address, with its API key.
    pub fn by(self, tenant: &TestTenant) -> Self {
        self.of(tenant).bearer(&tenant.api_key)
    }

    /// For any host name.
    pub fn host(self, host: &str) -> Self {
        self.header("host", host)
    }

    /// With `X-Tenant-Key`.
    pub fn key_header(self, tenant: &TestTenant) -> Self {
        self.header("x-tenant-key", &tenant.key)
    }

    /// With these credentials.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With the session cookie.
    pub fn cookie(self, token: &str) -> Self {
        self.header("cookie", &format!("helixai_session={token}"))
    }

    /// With `Idempotency-Key`.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// With any header, instead of one of the same name.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::try_from(name).expect("a header's name");
        self.headers
            .insert(name, HeaderValue::from_str(value).expect("a header's value"));
        self
    }

    /// With a JSON body.
    pub fn json(self, body: &impl Serialize) -> Self {
        self.text(&serde_json::to_string(body).expect("JSON"))
    }

    /// With a body that claims to be JSON.
    pub fn text(self, body: &str) -> Self {
        self.bytes("application/json", body.as_bytes())
    }

    /// With any body.
    pub fn bytes(mut self, kind: &str, body: &[u8]) -> Self {
        self.body = Some(body.to_vec());
        self.header(CONTENT_TYPE.as_str(), kind)
    }

    /// Sends it; an error when no answer comes.
    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let what = format!("{} {}", self.method, self.path);
        let url = format!("http://{}{}", self.address, self.path);
        let mut request = self.client.request(self.method, url).headers(self.headers);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Answer {
            what,
            status,
            headers,
            body: response.bytes().await?.to_vec(),
        };
        answer.check();
        Ok(answer)
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let what = format!("{} {}", self.method, self.path);
        Box::pin(async move {
            self.try_send()
                .await
                .unwrap_or_else(|error| panic!("{what}: {error:?}"))
        })
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Of the request, for messages.
    what: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// What is true of every answer.
    fn check(&self) {
        let id = self.header("x-request-id").unwrap_or_default();
        assert!(
            uuid::Uuid::parse_str(id).is_ok(),
            "no x-request-id: {}",
            self.describe()
        );
        assert_eq!(
            self.header("x-content-type-options"),
            Some("nosniff"),
            "{}",
            self.describe()
        );
        // But for pictures and files, which have rules of their own.
        let file = self.what.contains(" /photos/") || self.what.ends_with("/media");
        let picture = file && self.status < 400;
        assert_eq!(
            self.header("cache-control") == Some("no-store"),
            !picture,
            "{}",
            self.describe()
        );
        if self.status >= 400 {
            self.check_problem();
        }
    }

    fn check_problem(&self) {
        let told = self.describe();
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{told}"
        );
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        assert_eq!(body["status"], self.status, "{told}");
        assert_eq!(
            text("type"),
            format!("urn:helixai:problem:{}", text("code")),
            "{told}"
        );
        assert!(!text("title").is_empty() && !text("detail").is_empty(), "{told}");
        let code = text("code");
        assert!(
            !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{told}"
        );
        assert_eq!(Some(text("request_id")), self.header("x-request-id"), "{told}");
        assert!(body["errors"].is_array(), "{told}");
        if self.status == 401 {
            assert_eq!(self.header("www-authenticate"), Some("Bearer"), "{told}");
        }
        if matches!(self.status, 429 | 503) {
            let seconds = self
                .header("retry-after")
                .and_then(|value| value.parse::<u32>().ok());
            assert!(seconds.is_some_and(|seconds| seconds > 0), "{told}");
        }
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.describe()))
    }

    /// Must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.describe());
        self
    }

    /// Must be a problem of this status and code; answers its body.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        self.expect(status);
        let body = self.json();
        assert_eq!(body["code"], code, "{}", self.describe());
        body
    }

    /// Must be 422 for exactly these fields: `(field, code)`.
    #[track_caller]
    pub fn refused_fields(&self, expected: &[(&str, &str)]) {
        let body = self.problem(422, "invalid_fields");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let errors = body["errors"].as_array().expect("errors");
        for error in errors {
            assert!(
                error["message"]
                    .as_str()
                    .is_some_and(|message| !message.is_empty()),
                "{error}"
            );
        }
        let fields: Vec<(String, String)> = errors
            .iter()
            .map(|error| (text(&error["field"]), text(&error["code"])))
            .collect();
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(field, code)| ((*field).to_owned(), (*code).to_owned()))
            .collect();
        assert_eq!(fields, expected, "{}", self.describe());
    }

    /// For messages of failed tests.
    pub fn describe(&self) -> String {
        let text: String = self.text().chars().take(2000).collect();
        format!("{} answered {}: {text}", self.what, self.status)
    }
}
