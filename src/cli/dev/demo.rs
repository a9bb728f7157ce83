//! The demo: an administrator and two clients of two niches, with data to look at.
//!
//! Safe to repeat, and after a kill at any line: what is there is left alone, what is missing is made. Credentials of
//! an earlier run are taken from its `dev.json`; where that is lost, new ones are given.

use anyhow::Context as _;
use secrecy::ExposeSecret;

use super::demo_data;
use super::dev_json::{DemoTenant, DevJson, Login};
use crate::accounts::hashing;
use crate::db::master::audit::MasterActor;
use crate::db::master::{admins, subscriptions};
use crate::db::tenant::{Access, TenantDb, accounts};
use crate::domain::email::Email;
use crate::domain::password::Password;
use crate::domain::tenant::Niche;
use crate::domain::tenant_key::TenantKey;
use crate::domain::token::{NewToken, TokenKind};
use crate::platform::Platform;
use crate::tenancy::provision::Onboarding;
use crate::tenancy::resolve::ResolveError;

const ADMIN: &str = "admin@helixai.example";

/// A demo client.
struct Demo {
    key: &'static str,
    name: &'static str,
    niche: &'static str,
    owner: &'static str,
    owner_email: &'static str,
}

const DEMOS: [Demo; 2] = [
    Demo {
        key: "garage-alpha",
        name: "Garagem Alpha",
        niche: Niche::CARS,
        owner: "Ana Souza",
        owner_email: "ana@garage-alpha.example",
    },
    Demo {
        key: "imob-beta",
        name: "Imobiliária Beta",
        niche: Niche::REAL_ESTATE,
        owner: "Bruno Lima",
        owner_email: "bruno@imob-beta.example",
    },
];

/// Makes what is missing, and answers how to log in.
pub async fn ensure(
    platform: &Platform,
    previous: Option<&DevJson>,
) -> anyhow::Result<(Login, Vec<DemoTenant>)> {
    let admin = ensure_admin(platform, previous)
        .await
        .context("the demo's administrator cannot be made")?;
    let mut tenants = Vec::new();
    for demo in &DEMOS {
        let known =
            previous.and_then(|file| file.tenants.iter().find(|tenant| tenant.tenant_key == demo.key));
        let tenant = ensure_tenant(platform, demo, known);
        tenants.push(
            tenant
                .await
                .with_context(|| format!("the demo client {} cannot be made", demo.key))?,
        );
    }
    Ok((admin, tenants))
}

async fn ensure_admin(platform: &Platform, previous: Option<&DevJson>) -> anyhow::Result<Login> {
    if let Some(file) = previous {
        return Ok(file.admin.clone());
    }
    let (email, password) = (Email::parse(ADMIN)?, Password::generate());
    let hash = hashing::hash(password.clone()).await?;
    let mut tx = platform.master.begin().await?;
    admins::upsert_admin(&mut tx, &email, "Admin", &hash, platform.clock.now()).await?;
    tx.commit().await?;
    Ok(Login {
        email: ADMIN.to_owned(),
        password: password.expose().to_owned(),
    })
}

async fn ensure_tenant(
    platform: &Platform,
    demo: &Demo,
    known: Option<&DemoTenant>,
) -> anyhow::Result<DemoTenant> {
    let key = TenantKey::parse(demo.key)?;
    let url = platform.settings.server.tenant_url(demo.key);
    let login = |password: &str| Login {
        email: demo.owner_email.to_owned(),
        password: password.to_owned(),
    };
    let made = |owner: Login, api_key: String| DemoTenant {
        tenant_key: demo.key.to_owned(),
        url: url.clone(),
        niche: demo.niche.to_owned(),
        owner,
        api_key,
    };
    let tenant = match platform.resolver.find(&key).await {
        Ok(tenant) => {
            let answer = match known {
                Some(known) => made(known.owner.clone(), known.api_key.clone()),
                None => {
                    let (password, api_key) = renew(platform, &key, demo).await?;
                    made(login(&password), api_key)
                }
            };
            demo_data::ensure(platform, &tenant).await?;
            answer
        }
        Err(ResolveError::Unknown) => {
            let password = Password::generate();
            let onboarding = Onboarding {
                key: key.clone(),
                name: demo.name.to_owned(),
                niche: Niche::parse(demo.niche)?,
                plan: None,
                document: None,
                owner_email: Email::parse(demo.owner_email)?,
                owner_name: demo.owner.to_owned(),
                owner_password: Some(password.clone()),
            };
            let onboarded = platform
                .provisioner
                .onboard(onboarding, None, MasterActor::Cli, None)
                .await?;
            let tenant = platform.resolver.find_fresh(&key).await?;
            demo_data::ensure(platform, &tenant).await?;
            made(login(password.expose()), onboarded.api_key)
        }
        Err(error) => return Err(error.into()),
    };
    let resolved = platform.resolver.find(&key).await?;
    let mut tx = platform.master.begin().await?;
    subscriptions::activate_without_end(&mut tx, resolved.home.id, platform.clock.now()).await?;
    tx.commit().await?;
    Ok(tenant)
}

/// New credentials for a demo client whose old ones nobody knows any more.
async fn renew(platform: &Platform, key: &TenantKey, demo: &Demo) -> anyhow::Result<(String, String)> {
    let tenant = platform.resolver.find(key).await?;
    let db = TenantDb::new(platform.lanes.clone(), tenant.home.clone());
    let now = platform.clock.now();
    let password = Password::generate();
    let hash = hashing::hash(password.clone()).await?;
    let token = NewToken::generate(TokenKind::ApiKey);
    let batch = (
        accounts::reset_password(&Email::parse(demo.owner_email)?, hash, now),
        accounts::insert_api_key("demo", token.prefix.clone().unwrap_or_default(), &token.hash, now),
    );
    db.run(&Access::system(now), batch).await?;
    Ok((
        password.expose().to_owned(),
        token.plain.expose_secret().to_owned(),
    ))
}
