//! A request of a tenant: tenant → suspension → subscription gate → credentials, in this order.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use chrono::{DateTime, Duration, Utc};

use super::client::{client_address, only_header};
use super::following::Following;
use super::renamed;
use super::token::token;
use crate::db::tenant::{Access, Actor, Batch, Reply, TenantDb, TenantTx, api_keys};
use crate::db::{DbError, Refusal};
use crate::domain::ids::TenantId;
use crate::domain::rights::Need;
use crate::domain::subscription::{Gate, Section};
use crate::domain::tenant::TenantStatus;
use crate::domain::token::TokenHash;
use crate::domain::turns::Share;
use crate::http::problem::Problem;
use crate::platform::Platform;
use crate::telemetry::metrics::count_rate_limited;
use crate::tenancy::fairness::Unfair;
use crate::tenancy::resolve::{ResolveError, ResolvedTenant};

/// The cookie that holds a user's session token. Host-only, so it is never sent to another tenant's address.
pub const SESSION_COOKIE: &str = "helixai_session";
const TENANT_KEY: HeaderName = HeaderName::from_static("x-tenant-key");
/// `last_used_at` of an API key is noted at most this often.
const KEY_NOTED_EVERY: Duration = Duration::seconds(60);
/// Seconds after which a client may ask whether its tenant has been migrated.
const UPGRADE_SECONDS: u32 = 30;

/// What a route demands.
pub trait Permission: 'static {
    /// Of the caller.
    const NEED: Need;
    /// Of the subscription.
    const SECTION: Section;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident: $need:ident, $section:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl Permission for $name {
            const NEED: Need = Need::$need;
            const SECTION: Section = Section::$section;
        }
    )* };
}

permissions! {
    /// To see the tenant's data.
    ReadData: Read, Read;
    /// To change the tenant's data.
    WriteData: Write, Write;
    /// To change what customers owe and how they are told.
    TradeData: Trade, Write;
    /// To see users, keys and settings.
    SeeSettings: Manage, Read;
    /// To book what was reserved before: also of who may reserve no more.
    SettleUsage: Write, Settle;
    /// To manage users, keys and settings.
    ManageTenant: Manage, Write;
    /// To decide about the tenant's people.
    OwnTenant: Own, Write;
    /// To see what only owners see: where the tenant is paid, what bots can be linked with again.
    OwnAccounts: Own, Read;
    /// To take all of the tenant's data away.
    OwnExport: Own, Export;
    /// To log in; for [`PublicTenant`].
    LogIn: Read, Login;
    /// One's own session and password.
    OwnAccount: SignedIn, Login;
    /// To see what concerns oneself, or to ask for a socket of one's own.
    OwnReading: SignedIn, Read;
    /// To put away what concerns oneself.
    OwnDesk: SignedIn, Write;
    /// To see the subscription, its use and invoices.
    Invoices: Read, Billing;
    /// To pay.
    Checkout: Own, Checkout;
    /// To decide what is to be paid: also of who has canceled.
    OwnBilling: Own, Billing;
    /// To hand in messages from outside; for [`PublicTenant`].
    Inbound: Read, Inbound;
}

/// An authorised way to a tenant's data. The authorisation is proven by the database together with the first
/// statements; nothing that a handler runs through it can reach further.
pub struct TenantAccess<P> {
    /// Whose data it is.
    pub tenant: Arc<ResolvedTenant>,
    /// The moment of the request.
    pub now: DateTime<Utc>,
    /// What is demanded and shown.
    pub access: Access,
    platform: web::Data<Platform>,
    permission: PhantomData<P>,
}

/// As [`TenantAccess`], for routes that anybody may use.
pub struct PublicTenant<P>(pub TenantAccess<P>);

impl<P: Permission> FromRequest for TenantAccess<P> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let platform = shared(&request)?;
            let token = token(&request, platform.settings.server.public_scheme);
            let presented = token.as_ref().ok().and_then(Option::as_ref);
            let presented = presented.map(|token| token.hash);
            let (tenant, now) = admit(&request, &platform, presented, P::SECTION).await?;
            let token = token?.ok_or_else(Problem::unauthorized)?;
            let access = Access::bearer(&token, P::NEED, now).ok_or_else(Problem::unauthorized)?;
            let access = access.known(platform.fairness.is_proven(tenant.home.id, token.hash));
            Ok(Self {
                tenant,
                now,
                access,
                platform,
                permission: PhantomData,
            })
        })
    }
}

impl<P: Permission> FromRequest for PublicTenant<P> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let platform = shared(&request)?;
            let (tenant, now) = admit(&request, &platform, None, P::SECTION).await?;
            let access = Access::public(now);
            Ok(Self(TenantAccess {
                tenant,
                now,
                access,
                platform,
                permission: PhantomData,
            }))
        })
    }
}

impl<P: Permission> TenantAccess<P> {
    /// What requests share.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Runs a batch in one round trip, proving the credentials with it.
    ///
    /// # Errors
    /// 401, 403, 404, 409 as the database refuses; 503 when it is away; 500 for constraints that no caller maps.
    pub async fn run<B: Batch>(&self, batch: B) -> Result<Reply<B::Output>, Problem> {
        self.run_or(batch, |_| None).await
    }

    /// As [`TenantAccess::run`], leaving violated constraints to the caller.
    ///
    /// # Errors
    /// When the tenant is no longer served.
    pub async fn try_run<B: Batch>(&self, batch: B) -> Result<Result<Reply<B::Output>, DbError>, Problem> {
        let mut following = Following::new(&self.platform, &self.tenant);
        let follow = async |_| following.next().await;
        match self.db().run_following(&self.access, batch, follow).await {
            Ok(reply) => {
                self.note_proof();
                self.note_key_use(&reply.identity.actor);
                Ok(Ok(reply))
            }
            Err(error) => self.explain(error).await.map(Err),
        }
    }

    /// As [`TenantAccess::run`]; `refuse` explains the constraints that the request can violate.
    ///
    /// # Errors
    /// As [`TenantAccess::run`].
    pub async fn run_or<B: Batch>(
        &self,
        batch: B,
        refuse: impl Fn(&DbError) -> Option<Problem>,
    ) -> Result<Reply<B::Output>, Problem> {
        let refused = |error: DbError| refuse(&error).unwrap_or_else(|| error.into());
        self.try_run(batch).await?.map_err(refused)
    }

    /// Opens a transaction, proving the credentials in its first round trip.
    ///
    /// # Errors
    /// As [`TenantAccess::run`].
    pub async fn begin<B: Batch>(&self, batch: B) -> Result<(TenantTx, Reply<B::Output>), Problem> {
        let mut following = Following::new(&self.platform, &self.tenant);
        let follow = async |_| following.next().await;
        match self.db().begin_following(&self.access, batch, follow).await {
            Ok((tx, reply)) => {
                self.note_proof();
                self.note_key_use(&reply.identity.actor);
                Ok((tx, reply))
            }
            Err(error) => Err(self.explain(error).await?.into()),
        }
    }

    /// What was parsed, or the refusal, which is told only to somebody who may use the route at all.
    ///
    /// # Errors
    /// The refusal; before it, whatever the credentials are refused for.
    pub async fn check<T, E: Into<Problem>>(&self, parsed: Result<T, E>) -> Result<T, Problem> {
        match parsed {
            Ok(value) => Ok(value),
            Err(refusal) => {
                self.run(()).await?;
                Err(refusal.into())
            }
        }
    }

    /// 404 for a tenant of another niche.
    ///
    /// # Errors
    /// 404; before it, whatever the credentials are refused for.
    pub async fn niche(&self, niche: &str) -> Result<(), Problem> {
        let fits = self.tenant.niche.as_str() == niche;
        self.check(if fits { Ok(()) } else { Err(Problem::not_found()) })
            .await
    }

    /// The session that the request came with. An API key has none: it is refused as the database would refuse it.
    ///
    /// # Errors
    /// 403 for a known key; 401 for an unknown one.
    pub async fn session(&self) -> Result<TokenHash, Problem> {
        match self.access.session() {
            Some(session) => Ok(*session),
            None => self.check(Err(Problem::no_right())).await,
        }
    }

    fn db(&self) -> TenantDb {
        TenantDb::new(self.platform.lanes.clone(), Arc::clone(&self.tenant.home))
    }

    /// When the database says that the tenant is not where or what the cache says, the registry is asked anew.
    async fn explain(&self, error: DbError) -> Result<DbError, Problem> {
        if error.refusal() == Some(Refusal::Credentials)
            && let Some(presented) = self.access.presented()
        {
            self.platform.fairness.refused(self.tenant.home.id, *presented);
        }
        if error.refusal().is_some_and(Refusal::is_about_the_tenant) {
            let tenant = self.platform.resolver.find_fresh(&self.tenant.key).await?;
            served(&tenant)?;
        }
        Ok(error)
    }

    fn note_proof(&self) {
        if let Some(presented) = self.access.presented() {
            self.platform.fairness.proven(self.tenant.home.id, *presented);
        }
    }

    fn note_key_use(&self, actor: &Actor) {
        let Actor::ApiKey { id, last_used_at } = actor else {
            return;
        };
        if last_used_at.is_some_and(|at| self.now - at < KEY_NOTED_EVERY) {
            return;
        }
        let (db, access, query) = (
            self.db(),
            Access::system(self.now),
            api_keys::note_use(*id, self.now),
        );
        // Beside the request: nobody waits for it, and losing it loses nothing but a date.
        tokio::spawn(async move {
            if let Err(error) = db.run(&access, query).await {
                tracing::debug!(%error, "the use of an API key was not noted");
            }
        });
    }
}

fn shared(request: &HttpRequest) -> Result<web::Data<Platform>, Problem> {
    let platform = request.app_data::<web::Data<Platform>>();
    platform.cloned().ok_or_else(Problem::internal)
}

/// The tenant that a request names, if it is served for what the route does. The request is counted: under the tenant
/// when what it presents was good a moment ago, else under the address that it comes from, so that strangers use up no
/// tenant's share.
async fn admit(
    request: &HttpRequest,
    platform: &Platform,
    presented: Option<TokenHash>,
    section: Section,
) -> Result<(Arc<ResolvedTenant>, DateTime<Utc>), Problem> {
    let key = only_header(request, TENANT_KEY)?
        .map(|key| key.to_str().map_err(|_| ResolveError::Unknown))
        .transpose()?;
    let tenant = renamed::resolve(request, platform, key).await?;
    tracing::Span::current().record("tenant", tenant.key.as_str());
    served(&tenant)?;
    take_share(request, platform, tenant.home.id, presented).await?;
    let now = platform.clock.now();
    let gate = Gate::of(tenant.subscription.map(|subscription| subscription.at(now)));
    if !gate.allows(section) {
        return Err(Problem::forbidden(
            "subscription_inactive",
            "The subscription does not cover this at the moment: see GET /api/subscription.",
        ));
    }
    Ok((tenant, now))
}

/// Kept with a request until it has been answered.
struct Admitted(#[expect(dead_code, reason = "counts by being there")] Share);

/// Counts the request towards its share, once however often it is asked whose it is.
async fn take_share(
    request: &HttpRequest,
    platform: &Platform,
    tenant: TenantId,
    presented: Option<TokenHash>,
) -> Result<(), Problem> {
    if request.extensions().contains::<Admitted>() {
        return Ok(());
    }
    let from = || client_address(request, &platform.settings.server);
    match platform.fairness.admit(tenant, presented, from).await {
        Ok(share) => {
            request.extensions_mut().insert(Admitted(share));
            Ok(())
        }
        Err(Unfair::Rate { who, seconds }) => {
            count_rate_limited(who);
            Err(Problem::too_many(
                "too_many_requests",
                "More requests come from here than its share: slow down.",
                seconds,
            ))
        }
        Err(Unfair::AtOnce { who }) => {
            count_rate_limited(who);
            Err(Problem::crowded())
        }
    }
}

fn served(tenant: &ResolvedTenant) -> Result<(), Problem> {
    match tenant.status {
        TenantStatus::Active if tenant.upgrading => Err(Problem::unavailable(
            "tenant_upgrading",
            "This account is being brought to a new version: try again in a few minutes.",
        )
        .after(UPGRADE_SECONDS)),
        TenantStatus::Active => Ok(()),
        TenantStatus::Suspended => Err(Problem::forbidden(
            "tenant_suspended",
            "This account is suspended: contact the platform's support.",
        )),
        // Not there yet, or no longer.
        _ => Err(ResolveError::Unknown.into()),
    }
}
