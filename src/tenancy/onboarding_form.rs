//! The fields by which a client is onboarded, as they come in: `POST /api/admin/tenants` and `helixai tenant create`
//! check them here, so that both refuse the same things with the same codes.
//!
//! To add a field: the raw value here with its check, its checked form in [`Onboarding`], its flag in
//! `cli/tenant/create.rs`.

use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use utoipa::ToSchema;

use super::provision::Onboarding;
use crate::db::shard::template::Template;
use crate::domain::document::Document;
use crate::domain::email::Email;
use crate::domain::invalid::{FieldErrors, Invalid};
use crate::domain::password::Password;
use crate::domain::platform_key::PlatformKey;
use crate::domain::tenant::Niche;
use crate::domain::tenant_key::TenantKey;
use crate::domain::text::{Name, line};

/// Longest code of a plan.
const PLAN_MAX: usize = 40;

/// A request for onboarding, unchecked. It may hold a password, so it has no `Debug`.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTenant)]
pub struct OnboardingForm {
    /// Subdomain and `X-Tenant-Key` of the new tenant.
    #[schema(value_type = TenantKey, required = true)]
    pub tenant_key: Option<String>,
    /// Name of the business.
    #[schema(value_type = Name, required = true)]
    pub name: Option<String>,
    /// Niche: the name of a template, or one of its aliases.
    #[schema(value_type = String, required = true, example = "cars")]
    pub niche: Option<String>,
    /// Code of a plan; the smallest when absent.
    #[schema(example = "starter")]
    pub plan: Option<String>,
    /// CPF or CNPJ, with or without punctuation.
    #[schema(value_type = Option<Document>)]
    pub document: Option<String>,
    /// The first user.
    #[schema(value_type = OwnerForm, required = true)]
    pub owner: Option<OwnerForm>,
}

/// The first user of a new tenant, unchecked.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTenantOwner)]
pub struct OwnerForm {
    /// Address to log in with.
    #[schema(value_type = Email, required = true)]
    pub email: Option<String>,
    /// Name of the person.
    #[schema(value_type = Name, required = true)]
    pub name: Option<String>,
    /// 8 to 128 characters; one is made, and answered once, when absent.
    #[schema(format = Password)]
    pub password: Option<String>,
}

impl OnboardingForm {
    /// Checks every field.
    ///
    /// # Errors
    /// All refusals, under the names that the fields have in JSON.
    pub fn check(self) -> Result<Onboarding, FieldErrors> {
        let mut errors = FieldErrors::new();
        let owner = self.owner.unwrap_or_default();
        let text = |parse: fn(&str) -> Result<String, Invalid>| move |value: String| parse(&value);
        let key = errors.require("tenant_key", self.tenant_key, |value| TenantKey::parse(&value));
        let name = errors.require(
            "name",
            self.name,
            text(|value| Name::parse(value).map(String::from)),
        );
        let niche = errors.require("niche", self.niche, |value| find_niche(&value));
        let plan = errors.check_opt("plan", self.plan, text(|value| line(value, PLAN_MAX)));
        let document = errors.check_opt(
            "document",
            self.document,
            text(|value| Document::parse(value).map(String::from)),
        );
        let owner_email = errors.require("owner.email", owner.email, |value| Email::parse(&value));
        let owner_name = errors.require(
            "owner.name",
            owner.name,
            text(|value| Name::parse(value).map(String::from)),
        );
        let owner_password = errors.check_opt("owner.password", owner.password, Password::parse);
        errors.finish(|| {
            Some(Onboarding {
                key: key?,
                name: name?,
                niche: niche?,
                plan,
                document,
                owner_email: owner_email?,
                owner_name: owner_name?,
                owner_password,
            })
        })
    }

    /// What tells this request from another with the same `Idempotency-Key`. Keyed, as it covers a password and is
    /// stored: a plain hash would let that password be guessed far faster than its argon2 does.
    pub fn fingerprint(&self, key: &PlatformKey) -> [u8; 32] {
        let owner = self.owner.as_ref();
        let fields = [
            self.tenant_key.as_deref(),
            self.name.as_deref(),
            self.niche.as_deref(),
            self.plan.as_deref(),
            self.document.as_deref(),
            owner.and_then(|owner| owner.email.as_deref()),
            owner.and_then(|owner| owner.name.as_deref()),
            owner.and_then(|owner| owner.password.as_deref()),
        ];
        // Each field says whether it is there and how long it is: no two forms are spelled alike.
        let mut spelled = Zeroizing::new(Vec::new());
        for field in fields {
            match field {
                None => spelled.push(0),
                Some(text) => {
                    spelled.push(1);
                    spelled.extend_from_slice(&text.len().to_be_bytes());
                    spelled.extend_from_slice(text.as_bytes());
                }
            }
        }
        key.fingerprint("onboarding", &spelled)
    }
}

/// The niche that `name` means, or a refusal that names those there are.
///
/// # Errors
/// `required` for nothing, `unknown_value` for anything that no template is called.
pub fn find_niche(name: &str) -> Result<Niche, Invalid> {
    if name.trim().is_empty() {
        return Err(Invalid::required());
    }
    // An unreadable template is a defect that provisioning reports; here there is then no niche to choose.
    let template = Template::embedded().ok();
    template
        .and_then(|template| template.find_niche(name))
        .ok_or_else(|| Invalid::unknown_value(&template.map(Template::niches).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(json: &str) -> OnboardingForm {
        serde_json::from_str(json).unwrap()
    }

    fn refusals(json: &str) -> Vec<(String, &'static str)> {
        let refused = form(json).check().map(|_| ()).unwrap_err();
        refused
            .into_iter()
            .map(|error| (error.field, error.code))
            .collect()
    }

    const GOOD: &str = r#"{"tenant_key":"Garage_Alpha","name":" Garage Alpha ","niche":"Carros","plan":"pro",
        "document":"529.982.247-25","owner":{"email":"Ana@x.com","name":"Ana","password":"correct horse"}}"#;

    #[test]
    fn a_good_form_is_brought_to_its_normal_form() {
        let checked = form(GOOD).check().unwrap();
        assert_eq!(checked.key.as_str(), "garage-alpha");
        assert_eq!(
            (checked.name.as_str(), checked.niche.as_str()),
            ("Garage Alpha", "cars")
        );
        assert_eq!(checked.plan.as_deref(), Some("pro"));
        assert_eq!(checked.document.as_deref(), Some("52998224725"));
        assert_eq!(checked.owner_email.as_str(), "ana@x.com");
        assert_eq!(
            checked
                .owner_password
                .map(|password| password.expose().to_owned())
                .as_deref(),
            Some("correct horse")
        );
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let required = ["tenant_key", "name", "niche", "owner.email", "owner.name"];
        let missing = required.map(|field| (field.to_owned(), "required"));
        assert_eq!(refusals("{}"), missing);
        assert_eq!(refusals(r#"{"owner":null}"#), missing);
        let wrong = r#"{"tenant_key":"-x-","name":"a\u0000b","niche":"bakery","plan":"a\u0000","document":"1",
            "owner":{"email":"ana","name":" ","password":"short"}}"#;
        assert_eq!(
            refusals(wrong),
            [
                ("tenant_key", "invalid_format"),
                ("name", "invalid_format"),
                ("niche", "unknown_value"),
                ("plan", "invalid_format"),
                ("document", "invalid_format"),
                ("owner.email", "invalid_format"),
                ("owner.name", "required"),
                ("owner.password", "too_short"),
            ]
            .map(|(field, code)| (field.to_owned(), code))
        );
    }

    #[test]
    fn an_unknown_niche_is_answered_with_those_there_are() {
        let message = find_niche("core").unwrap_err().message;
        for niche in [Niche::CARS, Niche::REAL_ESTATE, Niche::GENERAL] {
            assert!(message.contains(niche), "{message}");
        }
        assert!(!message.contains("core"), "{message}");
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<OnboardingForm>(r#"{"nome":"x"}"#).is_err());
        assert!(serde_json::from_str::<OnboardingForm>(r#"{"owner":{"role":"owner"}}"#).is_err());
    }

    #[test]
    fn a_fingerprint_covers_every_field_and_the_key() {
        let key = PlatformKey::new(&[1; 32]);
        let of = |json: &str| form(json).fingerprint(&key);
        assert_eq!(of(GOOD), of(GOOD));
        assert_ne!(of(GOOD), of(&GOOD.replace("correct horse", "correct house")));
        assert_ne!(
            of(r#"{"tenant_key":"ab","name":"c"}"#),
            of(r#"{"tenant_key":"a","name":"bc"}"#)
        );
        assert_ne!(of(r#"{"tenant_key":"a"}"#), of(r#"{"name":"a"}"#));
        assert_ne!(
            form(GOOD).fingerprint(&key),
            form(GOOD).fingerprint(&PlatformKey::new(&[2; 32]))
        );
    }
}
