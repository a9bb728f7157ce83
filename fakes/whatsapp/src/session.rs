//! One connection, from its first byte to its last.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use wacore_binary::Node;

use crate::account::Address;
use crate::line::{Line, Order};
use crate::noise::Greeting;
use crate::stanza::{attr, children, conflict, from_server, now};
use crate::wire::{Channel, Wire};
use crate::world::World;
use crate::{Refusal, iq, pairing, relay};

/// Who is at the other end.
enum Caller {
    Device(Address),
    Stranger(u64),
}

/// Serves a connection until it ends.
pub(crate) async fn serve(world: Arc<World>, stream: TcpStream) {
    let Ok(greeting) = greet(&world, stream).await else {
        world.change(|state| state.broken_handshakes += 1);
        return;
    };
    let (line, orders) = Line::new(world.change(|state| state.number()));
    let Greeting {
        mut channel,
        handshake,
        key,
        payload,
    } = greeting;
    let connection = line.connection;
    let welcome = match payload.username {
        Some(phone) => {
            let address = Address {
                phone: phone.to_string(),
                device: payload.device.unwrap_or(0).try_into().unwrap_or(0),
            };
            admit(&world, &address, &key, line).map(|()| {
                world.change(|state| {
                    if let Some(device) = state.device_mut(&address) {
                        device.logins.push(handshake);
                    }
                });
                Caller::Device(address)
            })
        }
        None => pairing::admit(&world, key, payload, line).map(|()| Caller::Stranger(connection)),
    };
    match welcome {
        Ok(caller) => {
            // An error is a client that went, or one that the fake does not understand: both end here.
            let _ended = talk(&world, channel, orders, &caller).await;
            leave(&world, &caller, connection);
        }
        Err(refusal) => {
            let _gone = channel.send(&refusal.node()).await;
            channel.close().await;
        }
    }
}

async fn greet(world: &World, stream: TcpStream) -> Result<Greeting> {
    let wire = Wire::accept(stream).await?;
    world.identity.greet(wire).await
}

/// Lets a linked device in, or says why not.
fn admit(world: &World, address: &Address, key: &[u8; 32], line: Line) -> Result<(), Refusal> {
    world.change(|state| {
        if let Some(refusal) = state.refusal(Some(&address.phone)) {
            return Err(refusal);
        }
        // Unknown, removed, or with another's name.
        if state.device(address).is_none_or(|device| device.key != *key) {
            return Err(Refusal::Code(401));
        }
        state.hang_up(address, Order::Last(conflict("replaced")));
        let Some(device) = state.device_mut(address) else {
            return Err(Refusal::Code(401));
        };
        let success = from_server("success")
            .attr("t", now())
            .attr("lid", address.lid())
            .build();
        line.send(success);
        (device.line, device.active) = (Some(line), false);
        Ok(())
    })
}

async fn talk(
    world: &Arc<World>,
    mut channel: Channel,
    mut orders: UnboundedReceiver<Order>,
    caller: &Caller,
) -> Result<()> {
    loop {
        tokio::select! {
            order = orders.recv() => match order.context("no more orders")? {
                Order::Send(_) if is_muted(world, caller) => {}
                Order::Send(node) => channel.send(&node).await?,
                Order::Last(node) => {
                    channel.send(&node).await?;
                    channel.close().await;
                    return Ok(());
                }
                Order::Drop => return Ok(()),
            },
            node = channel.receive() => match node? {
                Some(_) if is_muted(world, caller) => {}
                Some(node) => hear(world, caller, &node).await?,
                None => return Ok(()),
            },
        }
    }
}

fn is_muted(world: &World, caller: &Caller) -> bool {
    match caller {
        Caller::Device(device) => world.read(|state| state.muted.contains(&device.phone)),
        Caller::Stranger(_) => false,
    }
}

async fn hear(world: &World, caller: &Caller, node: &Node) -> Result<()> {
    match (caller, node.tag.as_ref()) {
        (Caller::Stranger(connection), "iq") => pairing::hear(world, *connection, node),
        (Caller::Device(device), "iq") => iq::answer(world, device, node),
        (Caller::Device(device), "message") => relay::message(world, device, node).await,
        (Caller::Device(device), "receipt") => relay::receipt(world, device, node),
        (Caller::Device(device), "ack") if attr(node, "class").as_deref() == Some("message") => {
            // A message that the client gives up.
            let id = attr(node, "id").unwrap_or_default();
            world.change(|state| relay::confirm(state, device, &[id]));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn leave(world: &World, caller: &Caller, connection: u64) {
    world.change(|state| match caller {
        Caller::Stranger(number) => {
            state.strangers.remove(number);
        }
        Caller::Device(address) => {
            if let Some(device) = state.device_mut(address)
                && device
                    .line
                    .as_ref()
                    .is_some_and(|line| line.connection == connection)
            {
                (device.line, device.active) = (None, false);
            }
        }
    });
}

/// The ids that a receipt names.
pub(crate) fn ids(receipt: &Node) -> Vec<String> {
    let listed = receipt.get_optional_child("list").map(children);
    let listed = listed.unwrap_or_default().iter();
    let own = attr(receipt, "id").into_iter();
    own.chain(listed.filter_map(|item| attr(item, "id"))).collect()
}
