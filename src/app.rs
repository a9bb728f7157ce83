//! The HTTP server as `serve` and the tests run it, and the background work alone, as `worker` does.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App as ActixApp, HttpServer, get, web};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::SwaggerUi;

use crate::http::{normalise, observe, openapi, public, router};
use crate::jobs;
use crate::platform::Platform;
use crate::telemetry::metrics::{self, Metrics};

/// A server that is bound, and its background work.
pub struct App {
    platform: Platform,
    server: Server,
    metrics_server: Option<Server>,
    metrics_address: Option<SocketAddr>,
    address: SocketAddr,
    background: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl App {
    /// Binds the addresses and starts the background work. Port 0 takes a free one: see [`App::address`].
    ///
    /// # Errors
    /// When an address is taken, or metrics cannot be recorded.
    pub fn build(platform: Platform) -> std::io::Result<Self> {
        let mut platform = platform;
        let metrics = metrics::install().map_err(std::io::Error::other)?;
        let listener = TcpListener::bind(platform.settings.server.socket_addr())?;
        let address = listener.local_addr()?;
        // The addresses that are shown have the port that was taken.
        Arc::make_mut(&mut platform.settings).server.port = address.port();
        platform.payments = platform.payments.served_at(platform.settings.server.base_url());
        platform.channels.served_at(platform.settings.server.base_url());
        let settings = &platform.settings;
        let server = serve(platform.clone(), metrics.clone(), listener)?;
        let (metrics_server, metrics_address) = match settings.metrics.bind {
            None => (None, None),
            Some(bind) => {
                let listener = TcpListener::bind(bind)?;
                let address = listener.local_addr()?;
                (
                    Some(serve_metrics(platform.clone(), metrics, listener)?),
                    Some(address),
                )
            }
        };
        let stop = CancellationToken::new();
        let mut background = platform.watch(&stop);
        if platform.settings.server.background_work {
            background.extend(platform.work(&stop));
            background.push(jobs::spawn(&platform, stop.clone()));
        }
        Ok(Self {
            platform,
            server,
            metrics_server,
            metrics_address,
            address,
            background,
            stop,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the metrics are, if they have a port of their own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Stops the server when used: no new connections, those that are open finish their requests.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until `until` completes or the handle stops it, then finishes what is in flight and closes everything.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run(self, until: impl Future<Output = ()>) -> std::io::Result<()> {
        let Self {
            platform,
            server,
            metrics_server,
            background,
            stop,
            ..
        } = self;
        let handle = server.handle();
        let metrics_handle = metrics_server.as_ref().map(Server::handle);
        let metrics_task = metrics_server.map(tokio::spawn);
        let mut server = tokio::spawn(server);
        let result = tokio::select! {
            result = &mut server => result.map_err(std::io::Error::other)?,
            () = until => {
                // They would be waited for.
                platform.realtime.close();
                handle.stop(true).await;
                server.await.map_err(std::io::Error::other)?
            }
        };
        stop.cancel();
        finish(background, metrics_handle.zip(metrics_task)).await;
        platform.close().await;
        result
    }
}

/// The background work without the web server, until `until` completes: beside servers that leave it to others, or to have
/// more of it. Metrics are shown at `metrics.bind`, if that is set.
///
/// # Errors
/// When the address of the metrics is taken, or they cannot be recorded.
pub async fn work(platform: Platform, until: impl Future<Output = ()>) -> std::io::Result<()> {
    let metrics = metrics::install().map_err(std::io::Error::other)?;
    let metrics_server = match platform.settings.metrics.bind {
        None => None,
        Some(bind) => Some(serve_metrics(
            platform.clone(),
            metrics,
            TcpListener::bind(bind)?,
        )?),
    };
    let handle = metrics_server.as_ref().map(Server::handle);
    let metrics_task = metrics_server.map(tokio::spawn);
    let stop = CancellationToken::new();
    let mut background = platform.watch(&stop);
    background.extend(platform.work(&stop));
    background.push(jobs::spawn(&platform, stop.clone()));
    until.await;
    stop.cancel();
    finish(background, handle.zip(metrics_task)).await;
    platform.close().await;
    Ok(())
}

/// Waits for tasks that have been told to stop, then stops the server of the metrics.
async fn finish(
    background: Vec<JoinHandle<()>>,
    metrics: Option<(ServerHandle, JoinHandle<std::io::Result<()>>)>,
) {
    for task in background {
        // A task that panicked has said so; the rest still ends in order.
        let _ = task.await;
    }
    if let Some((handle, task)) = metrics {
        handle.stop(false).await;
        let _ = task.await;
    }
}

/// The API's description: the same that `/api/openapi.json` answers.
pub fn document() -> utoipa::openapi::OpenApi {
    let (_, mut document) = ActixApp::new()
        .into_utoipa_app()
        .openapi(openapi::Document::openapi())
        .configure(router::routes)
        .split_for_parts();
    openapi::name_outages(&mut document);
    openapi::name_problems(&mut document);
    document
}

fn serve(platform: Platform, metrics: Metrics, listener: TcpListener) -> std::io::Result<Server> {
    let settings = platform.settings.clone();
    let (platform, metrics) = (web::Data::new(platform), web::Data::new(metrics));
    let document = web::Data::new(document());
    let server = HttpServer::new(move || {
        let (app, _) = ActixApp::new()
            .into_utoipa_app()
            .configure(router::routes)
            .split_for_parts();
        app.app_data(platform.clone())
            .app_data(metrics.clone())
            .app_data(document.clone())
            .service(get_document)
            .service(
                SwaggerUi::new("/docs/{_:.*}").config(utoipa_swagger_ui::Config::from("/api/openapi.json")),
            )
            .service(web::redirect("/docs", "/docs/"))
            .configure(router::fallbacks)
            .wrap(Compress::default())
            .wrap(from_fn(normalise::normalise))
            .wrap(from_fn(observe::observe))
    })
    .workers(settings.server.worker_count())
    .client_request_timeout(settings.server.request_timeout)
    .keep_alive(Duration::from_secs(75))
    .shutdown_timeout(settings.server.shutdown_timeout.as_secs())
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

fn serve_metrics(platform: Platform, metrics: Metrics, listener: TcpListener) -> std::io::Result<Server> {
    let (platform, metrics) = (web::Data::new(platform), web::Data::new(metrics));
    let server = HttpServer::new(move || {
        let show = |platform: web::Data<Platform>, metrics: web::Data<Metrics>| async move {
            public::health::render(&platform, &metrics)
        };
        ActixApp::new()
            .app_data(platform.clone())
            .app_data(metrics.clone())
            .route("/metrics", web::get().to(show))
    })
    .workers(1)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

#[get("/api/openapi.json")]
async fn get_document(document: web::Data<utoipa::openapi::OpenApi>) -> web::Json<utoipa::openapi::OpenApi> {
    web::Json(document.get_ref().clone())
}
