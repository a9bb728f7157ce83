//! The TCP server in front: the Graph API as far as numbers need it, and control below `/_control`.
//!
//! | | |
//! |---|---|
//! | `POST /numbers` | adds one: `{"id","token","app_secret"}` |
//! | `POST /numbers/{id}/subscribe` | enters its webhook: `{"url","verify_token"}` |
//! | `POST /numbers/{id}/write` | somebody writes: `{"person","text"}`; answers `{"wamid","status"}` |
//! | `POST /numbers/{id}/status` | `{"wamid","status","code"}`: tells what has become of a message |
//! | `GET /numbers/{id}/said` | what it was asked to say |
//! | `POST /webhooks` | `{"through":"http://127.0.0.1:8080"}` |

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::stream;
use serde_json::{Value, json};

use super::world::{Book, Number, Said, World, person};
use super::{Failure, files, hooks};

/// A refusal: the status and Meta's code.
pub type Refused = (u16, i64);

pub fn serve(listener: TcpListener, world: Arc<World>) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&world)))
            .default_service(web::to(entry))
    });
    Ok(server
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run())
}

async fn entry(http: HttpRequest, body: web::Bytes, world: web::Data<World>) -> HttpResponse {
    let path = http.path().trim_matches('/').to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    let given: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let ["_control", rest @ ..] = parts.as_slice() {
        return control(&world, http.method().as_str(), rest, &given).await;
    }
    let token = http.headers().get("authorization");
    let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.unwrap_or_default();
    match (http.method().as_str(), parts.as_slice()) {
        ("GET", ["files", id]) => world.change(|book| files::give(book, id, token)),
        ("GET", [version, id]) if is_version(version) && world.lock().files.contains_key(*id) => {
            let base = format!("http://{}", http.connection_info().host());
            answered(files::tell(&world.lock(), &base, id, token))
        }
        ("GET", [version, number]) if is_version(version) => {
            let found = allowed(&mut world.lock(), number, token).map(|found| {
                json!({"id": number, "display_phone_number": found.display, "verified_name": "Loja", "quality_rating": "GREEN"})
            });
            answered(found)
        }
        ("POST", [version, number, "messages"]) if is_version(version) => {
            let fault = world.lock().faults.pop_front();
            match fault {
                Some(Failure::Code(status, code)) => {
                    world.change(|book| note(book, number, &given, Err(code)));
                    answered(Err((status, code)))
                }
                Some(Failure::Drop) => closed(),
                Some(Failure::ActThenDrop) => {
                    let _ = world.change(|book| say(book, number, token, &given));
                    closed()
                }
                Some(Failure::Html(status)) => HttpResponse::build(status_of(status))
                    .content_type("text/html")
                    .body("<html><body>Sorry, something went wrong.</body></html>"),
                None => answered(world.change(|book| say(book, number, token, &given))),
            }
        }
        _ => answered(Err((400, 2500))),
    }
}

fn is_version(text: &str) -> bool {
    let numbers = text.strip_prefix('v').and_then(|text| text.split_once('.'));
    numbers.is_some_and(|(major, minor)| major.parse::<u16>().is_ok() && minor.parse::<u16>().is_ok())
}

/// The number, for whoever may speak for it.
fn allowed<'a>(book: &'a mut Book, number: &str, token: &str) -> Result<&'a mut Number, Refused> {
    let known = book
        .numbers
        .values()
        .any(|number| number.token == token && !number.revoked);
    if !known {
        return Err((401, 190));
    }
    let found = book.numbers.get_mut(number);
    found.filter(|number| number.token == token).ok_or((400, 100))
}

fn say(book: &mut Book, number: &str, token: &str, request: &Value) -> Result<Value, Refused> {
    let taken = take(book, number, token, request);
    let noted = taken.clone().map_err(|(_, code)| code);
    note(book, number, request, noted);
    let wamid = taken?;
    let to = to(request);
    Ok(json!({
        "messaging_product": "whatsapp", "contacts": [{"input": to, "wa_id": person(to)}], "messages": [{"id": wamid}],
    }))
}

fn take(book: &mut Book, number: &str, token: &str, request: &Value) -> Result<String, Refused> {
    let limits = book.limits;
    let found = allowed(book, number, token)?;
    if request["messaging_product"] != "whatsapp" || to(request).is_empty() {
        return Err((400, 100));
    }
    check(request)?;
    let to = person(to(request));
    if found.unknown.contains(&to) {
        return Err((400, 131_026));
    }
    if !found.open.contains(&to) {
        return Err((400, 131_047));
    }
    found.admit(&to, limits).map_err(|code| (400, code))?;
    Ok(book.wamid())
}

/// What Meta takes, as far as it is looked at here.
fn check(request: &Value) -> Result<(), Refused> {
    let within = |value: &Value, most: usize| {
        let length = value.as_str().map_or(0, |text| text.chars().count());
        (1..=most).contains(&length)
    };
    let good = match request["type"].as_str() {
        Some("text") => within(&request["text"]["body"], 4096),
        Some("interactive") => {
            let interactive = &request["interactive"];
            let button = &interactive["action"]["parameters"];
            let url = button["url"].as_str().unwrap_or_default();
            interactive["type"] == "cta_url"
                && interactive["action"]["name"] == "cta_url"
                && within(&interactive["body"]["text"], 1024)
                && within(&button["display_text"], 20)
                && url.starts_with("http")
        }
        _ => return Err((400, 131_051)),
    };
    if good { Ok(()) } else { Err((400, 100)) }
}

fn to(request: &Value) -> &str {
    let to = request["to"].as_str().or(request["recipient"].as_str());
    to.unwrap_or_default()
}

fn note(book: &mut Book, number: &str, request: &Value, outcome: Result<String, i64>) {
    let Some(found) = book.numbers.get_mut(number) else {
        return;
    };
    found.said.push(Said {
        refused: outcome.as_ref().err().copied(),
        wamid: outcome.ok(),
        to: to(request).to_owned(),
        request: request.clone(),
    });
}

async fn control(world: &World, method: &str, parts: &[&str], given: &Value) -> HttpResponse {
    let text = |name: &str| given[name].as_str().unwrap_or_default();
    if let ["numbers", id, ..] = parts
        && !world.lock().numbers.contains_key(*id)
    {
        return HttpResponse::NotFound().json(json!({"error": "no such number"}));
    }
    let told = match (method, parts) {
        ("POST", ["numbers"]) => {
            let number = Number::new(text("id"), text("token"), text("app_secret"));
            world.change(|book| book.numbers.insert(text("id").to_owned(), number));
            json!({})
        }
        ("POST", ["numbers", id, "subscribe"]) => {
            json!({"subscribed": hooks::subscribe(world, id, text("url"), text("verify_token")).await})
        }
        ("POST", ["numbers", id, "write"]) => {
            let message = json!({"type": "text", "text": {"body": text("text")}});
            let (wamid, status) = hooks::bring(world, id, text("person"), "Alguém", &message).await;
            json!({"wamid": wamid, "status": status})
        }
        ("POST", ["numbers", id, "status"]) => {
            let code = given["code"].as_i64();
            json!({"status": hooks::tell(world, id, text("wamid"), text("status"), code).await})
        }
        ("GET", ["numbers", id, "said"]) => json!(world.lock().number(id).said),
        ("POST", ["webhooks"]) => {
            world.lock().through = given["through"].as_str().map(str::to_owned);
            json!({})
        }
        _ => return HttpResponse::NotFound().json(json!({"error": "no such control"})),
    };
    HttpResponse::Ok().json(told)
}

pub fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub fn answered(answer: Result<Value, Refused>) -> HttpResponse {
    match answer {
        Ok(value) => HttpResponse::Ok().json(value),
        Err((status, code)) => HttpResponse::build(status_of(status)).json(json!({"error": {
            "message": format!("(#{code}) refused"), "type": "OAuthException", "code": code, "fbtrace_id": "Az8or2yhqkZfEZ",
            "error_data": {"messaging_product": "whatsapp", "details": "as it was told to"},
        }})),
    }
}

/// An answer that breaks before its first byte: the server closes the connection.
fn closed() -> HttpResponse {
    let broken = std::io::Error::other("closed on purpose");
    HttpResponse::Ok().streaming(stream::once(async { Err::<web::Bytes, _>(broken) }))
}
