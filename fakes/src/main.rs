//! Runs fakes for tours: `fakes mercado_pago=9801 stripe=9802 asaas=9803`; without a port, `mercado_pago`, a free one is taken.
//!
//! Prints one line of JSON per gateway, `{"gateway","url","control"}`, once it answers, and runs until it is told to end.

use helixai_fakes::gateways::{FakeGateway, Kind};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut running = Vec::new();
    for argument in std::env::args().skip(1) {
        let (name, port) = argument.split_once('=').unwrap_or((&argument, "0"));
        let kind: Kind = serde_json::from_value(name.into())
            .map_err(|_| format!("{name}: say mercado_pago, stripe or asaas"))?;
        let gateway = FakeGateway::start_on(kind, port.parse()?)?;
        println!(
            "{}",
            serde_json::json!({"gateway": name, "url": gateway.url(), "control": gateway.control_url()})
        );
        running.push(gateway);
    }
    if running.is_empty() {
        return Err("say which: fakes mercado_pago=9801 stripe=9802 asaas=9803".into());
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
