//! A request of an administrator: on the base domain only, with a token of `POST /api/admin/sessions`.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use super::client::{bearer, host};
use crate::db::master::admins::{self, AdminIdentity};
use crate::db::master::audit::MasterActor;
use crate::domain::host::{BaseDomain, HostKind, HostName, classify};
use crate::domain::token::{ParsedToken, TokenKind};
use crate::http::problem::Problem;
use crate::platform::Platform;
use crate::telemetry::request_id;
use crate::tenancy::lifecycle::Origin;

/// An administrator who has logged in.
pub struct AdminAccess {
    /// Who.
    pub admin: AdminIdentity,
    /// What requests share.
    pub platform: web::Data<Platform>,
}

impl AdminAccess {
    /// For the audit.
    pub fn origin(&self) -> Origin {
        Origin {
            actor: MasterActor::Admin(self.admin.id),
            request_id: request_id::current().map(|id| id.to_string()),
        }
    }
}

impl FromRequest for AdminAccess {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let platform = request
                .app_data::<web::Data<Platform>>()
                .cloned()
                .ok_or_else(Problem::internal)?;
            on_base_domain(&request, &platform)?;
            let token = bearer(&request)
                .and_then(|token| ParsedToken::parse(token).ok())
                .filter(|token| token.kind == TokenKind::AdminSession)
                .ok_or_else(Problem::unauthorized)?;
            let admin = admins::find_session(&platform.master, &token.hash, platform.clock.now())
                .await?
                .ok_or_else(Problem::unauthorized)?;
            Ok(Self { admin, platform })
        })
    }
}

/// The administration is not served at tenants' addresses: there it does not exist.
pub(in crate::http) fn on_base_domain(request: &HttpRequest, platform: &Platform) -> Result<(), Problem> {
    let base = BaseDomain::parse(&platform.settings.server.base_domain).ok();
    let kind = host(request)?
        .and_then(|host| HostName::parse(host).ok())
        .zip(base)
        .map(|(host, base)| classify(&host, &base));
    if kind == Some(HostKind::Base) {
        Ok(())
    } else {
        Err(Problem::not_found())
    }
}
