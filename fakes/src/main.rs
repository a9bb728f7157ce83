//! Runs fakes for tours: `fakes mercado_pago=9801 stripe=9802 asaas=9803 telegram=9804 whatsapp_cloud=9805`; without a
//! port, `telegram`, a free one is taken.
//!
//! Prints one line of JSON for each, `{"gateway","url","control"}`, once it answers, and runs until it is told to end.

use helixai_fakes::gateways::{FakeGateway, Kind};
use helixai_fakes::telegram::FakeTelegram;
use helixai_fakes::whatsapp_cloud::FakeCloud;
use serde_json::{Value, json};

/// What runs as long as the program.
#[expect(dead_code, reason = "held, not used")]
enum Running {
    Gateway(FakeGateway),
    Telegram(FakeTelegram),
    WhatsappCloud(FakeCloud),
}

async fn start(name: &str, port: u16) -> Result<(Running, Value), Box<dyn std::error::Error>> {
    if name == "telegram" {
        let telegram = FakeTelegram::start_on(port).await?;
        let told = json!({"gateway": name, "url": telegram.url(), "control": telegram.control_url()});
        return Ok((Running::Telegram(telegram), told));
    }
    if name == "whatsapp_cloud" {
        let cloud = FakeCloud::start_on(port).await?;
        let told = json!({"gateway": name, "url": cloud.url(), "control": cloud.control_url()});
        return Ok((Running::WhatsappCloud(cloud), told));
    }
    let kind: Kind = serde_json::from_value(name.into())
        .map_err(|_| format!("{name}: say mercado_pago, stripe, asaas, telegram or whatsapp_cloud"))?;
    let gateway = FakeGateway::start_on(kind, port)?;
    let told = json!({"gateway": name, "url": gateway.url(), "control": gateway.control_url()});
    Ok((Running::Gateway(gateway), told))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut running = Vec::new();
    for argument in std::env::args().skip(1) {
        let (name, port) = argument.split_once('=').unwrap_or((&argument, "0"));
        let (one, told) = start(name, port.parse()?).await?;
        println!("{told}");
        running.push(one);
    }
    if running.is_empty() {
        return Err("say which: fakes mercado_pago=9801 stripe=9802 asaas=9803 telegram=9804".into());
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
