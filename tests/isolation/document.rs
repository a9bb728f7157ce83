//! The operations of the API, read from its own OpenAPI document.

use reqwest::Method;
use serde_json::{Map, Value};

/// Who an operation belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// Served at a tenant's address.
    Tenant,
    /// Served to administrators on the base domain.
    Admin,
    /// Served everywhere: health and metrics.
    Platform,
}

/// Operations that need no credentials. Adding one here is a decision: say why nobody needs to be known.
const PUBLIC: &[(&str, Plane)] = &[
    // Load balancers ask.
    ("get_health", Plane::Platform),
    ("get_readiness", Plane::Platform),
    // A price list.
    ("list_offers", Plane::Platform),
    // Credentials are in the body.
    ("create_session", Plane::Tenant),
    ("create_admin_session", Plane::Admin),
    // Who asks has forgotten the password; what chooses another is in the body, from a mail.
    ("create_password_reset", Plane::Tenant),
    ("confirm_password_reset", Plane::Tenant),
    ("accept_invitation", Plane::Tenant),
    ("create_admin_password_reset", Plane::Admin),
    ("confirm_admin_password_reset", Plane::Admin),
    // Signed by a gateway, which has no credentials here.
    ("hear_mercado_pago", Plane::Platform),
    ("hear_stripe", Plane::Platform),
    ("hear_asaas", Plane::Platform),
    ("hear_telegram", Plane::Platform),
    ("verify_whatsapp_cloud", Plane::Platform),
    ("hear_whatsapp_cloud", Plane::Platform),
    // Shop windows.
    ("get_vehicle_storefront", Plane::Tenant),
    ("get_property_storefront", Plane::Tenant),
    // Pictures in shop windows; of what is not there only with credentials.
    ("get_photo", Plane::Tenant),
    ("get_photo_thumbnail", Plane::Tenant),
];

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// `operationId`.
    pub id: String,
    /// The method.
    pub method: Method,
    /// With its parameters in braces.
    pub path: String,
    /// Who it belongs to.
    pub plane: Plane,
    /// Whether credentials are needed.
    pub protected: bool,
    /// Names of the parameters in the query.
    pub query: Vec<String>,
    /// Schema of the JSON body.
    pub body: Option<Value>,
    /// The whole entry.
    pub entry: Value,
}

impl Operation {
    /// Whether it only reads.
    pub fn reads(&self) -> bool {
        self.method == Method::GET
    }

    /// Whether its body is a form with files.
    pub fn takes_files(&self) -> bool {
        let form = "/requestBody/content/multipart~1form-data";
        self.entry.pointer(form).is_some()
    }

    /// Whether whoever asks is logged out by it.
    pub fn ends_the_session(&self) -> bool {
        ["delete_session", "delete_admin_session"].contains(&self.id.as_str())
    }

    /// The names in the path's braces, in order.
    pub fn path_params(&self) -> Vec<&str> {
        self.path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect()
    }
}

/// The whole document.
pub struct Document {
    /// As served.
    pub json: Value,
    /// In the document's order.
    pub operations: Vec<Operation>,
}

impl Document {
    /// Reads it. An operation without `security` that nobody has allowed fails here.
    pub fn read() -> Self {
        let json = serde_json::to_value(helixai::app::document()).expect("JSON");
        let mut operations = Vec::new();
        for (path, item) in json["paths"].as_object().expect("paths") {
            for (method, entry) in item.as_object().expect("operations") {
                let Ok(method) = method.to_uppercase().parse::<Method>() else {
                    continue;
                };
                operations.push(operation(path, method, entry));
            }
        }
        for (id, _) in PUBLIC {
            let found = operations.iter().find(|operation| operation.id == *id);
            assert!(
                found.is_some_and(|operation| !operation.protected),
                "{id} is allowed to be public, but is not: take it off the list in tests/isolation/document.rs"
            );
        }
        Self { json, operations }
    }

    /// The operation of a method and a path, if there is one.
    pub fn find(&self, method: &Method, path: &str) -> Option<&Operation> {
        self.operations
            .iter()
            .find(|operation| operation.method == *method && operation.path == path)
    }

    /// The operations of one plane that need credentials.
    pub fn protected(&self, plane: Plane) -> impl Iterator<Item = &Operation> {
        self.operations
            .iter()
            .filter(move |operation| operation.protected && operation.plane == plane)
    }

    /// All operations of one plane.
    pub fn of(&self, plane: Plane) -> impl Iterator<Item = &Operation> {
        self.operations
            .iter()
            .filter(move |operation| operation.plane == plane)
    }

    /// What a schema refers to, or the schema itself.
    pub fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        while let Some(reference) = schema["$ref"].as_str() {
            schema = self
                .json
                .pointer(reference.trim_start_matches('#'))
                .unwrap_or_else(|| panic!("{reference} leads nowhere"));
        }
        schema
    }

    /// The values of an enumeration's schema, those of its parts included.
    pub fn values(&self, schema: &Value) -> Vec<Value> {
        let schema = self.resolve(schema);
        let mut found = schema["enum"].as_array().cloned().unwrap_or_default();
        for combination in ["allOf", "oneOf", "anyOf"] {
            for part in schema[combination].as_array().into_iter().flatten() {
                found.extend(self.values(part));
            }
        }
        found
    }

    /// The properties of an object's schema, those of its parts included.
    pub fn properties(&self, schema: &Value) -> Map<String, Value> {
        let schema = self.resolve(schema);
        let mut found = schema["properties"].as_object().cloned().unwrap_or_default();
        for combination in ["allOf", "oneOf", "anyOf"] {
            for part in schema[combination].as_array().into_iter().flatten() {
                found.extend(self.properties(part));
            }
        }
        found
    }
}

fn operation(path: &str, method: Method, entry: &Value) -> Operation {
    let id = entry["operationId"]
        .as_str()
        .unwrap_or_else(|| panic!("{method} {path} has no operation_id"))
        .to_owned();
    // `security: [{}]` is what says "none" of an operation.
    let schemes: Vec<&String> = entry["security"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|requirement| requirement.as_object().expect("a requirement").keys())
        .collect();
    let plane = match schemes.first().map(|scheme| scheme.as_str()) {
        Some("bearer") => Plane::Tenant,
        Some("admin") => Plane::Admin,
        Some("metrics_token") => Plane::Platform,
        Some(other) => panic!("{id} wants {other}: say in tests/isolation/document.rs whose it is"),
        None => {
            let allowed = PUBLIC.iter().find(|(public, _)| *public == id);
            let Some((_, plane)) = allowed else {
                panic!(
                    "{id} ({method} {path}) needs no credentials: give it `security(…)`, or allow it in \
                     tests/isolation/document.rs"
                )
            };
            *plane
        }
    };
    let query = entry["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == "query")
        .map(|parameter| parameter["name"].as_str().expect("a name").to_owned())
        .collect();
    Operation {
        id,
        method,
        path: path.to_owned(),
        plane,
        protected: !schemes.is_empty(),
        query,
        body: entry
            .pointer("/requestBody/content/application~1json/schema")
            .cloned(),
        entry: entry.clone(),
    }
}
