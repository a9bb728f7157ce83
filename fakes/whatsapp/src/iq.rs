//! Answers to the queries of a linked device.

use anyhow::{Context, Result};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use crate::account::Address;
use crate::line::Order;
use crate::stanza::{attr, children, conflict, content, jid, now, result};
use crate::world::{State, World};

/// Answers a query. What the fake does not know of gets an empty positive answer.
pub(crate) fn answer(world: &World, device: &Address, query: &Node) -> Result<()> {
    if matches!(attr(query, "type").as_deref(), Some("result" | "error")) {
        return Ok(());
    }
    world.change(|state| {
        let inside = children(query).first().map_or("", |first| first.tag.as_ref());
        let namespace = attr(query, "xmlns").unwrap_or_default();
        let reply = match (namespace.as_str(), inside) {
            ("encrypt", "key") => keys(state, query)?,
            ("encrypt", _) => own_keys(state, device, query, inside)?,
            ("usync", _) => vec![usync(state, query)?],
            ("w:sync:app:state", _) => vec![collections(query)?],
            ("privacy", "privacy") => vec![NodeBuilder::new("privacy").build()],
            ("abt" | "w", "props") => vec![NodeBuilder::new("props").build()],
            ("blocklist", _) => vec![NodeBuilder::new("list").build()],
            _ => Vec::new(),
        };
        let answer = match reply.as_slice() {
            [] => result(query).build(),
            _ => result(query).children(reply).build(),
        };
        state.tell(device, answer);
        match (namespace.as_str(), inside) {
            ("passive", "active") => state.catch_up(device),
            ("md", "remove-companion-device") => {
                state.hang_up(device, Order::Last(conflict("device_removed")));
                if let Some(account) = state.accounts.get_mut(&device.phone) {
                    account.devices.remove(&device.device);
                }
            }
            _ => {}
        }
        Ok(())
    })
}

/// A device's own keys: uploaded, changed, counted, compared.
fn own_keys(state: &mut State, device: &Address, query: &Node, inside: &str) -> Result<Vec<Node>> {
    let bundle = &mut state.device_mut(device).context("no device")?.bundle;
    Ok(match inside {
        "count" => {
            let count = NodeBuilder::new("count").attr("value", bundle.left());
            vec![count.build()]
        }
        "digest" => vec![bundle.digest()],
        "rotate" => {
            let rotate = query.get_optional_child("rotate").context("nothing")?;
            bundle.rotate(rotate)?;
            Vec::new()
        }
        "registration" => {
            bundle.upload(query)?;
            Vec::new()
        }
        _ => Vec::new(),
    })
}

/// The keys of devices that the asking one wants to write to.
fn keys(state: &mut State, query: &Node) -> Result<Vec<Node>> {
    let asked = query.get_optional_child("key").context("nobody")?;
    let mut users = Vec::new();
    for user in children(asked) {
        let jid = jid(user, "jid").context("a user without a name")?;
        users.push(keys_of(state, &jid).unwrap_or_else(|| {
            let error = NodeBuilder::new("error")
                .attr("code", 406)
                .attr("text", "not-acceptable");
            NodeBuilder::new("user")
                .attr("jid", &jid)
                .children([error.build()])
                .build()
        }));
    }
    Ok(vec![NodeBuilder::new("list").children(users).build()])
}

fn keys_of(state: &mut State, jid: &Jid) -> Option<Node> {
    let address = Address::of(jid)?;
    if address.device == 0 {
        let account = state.account(&address.phone).ok()?;
        return Some(account.bundle.give(jid.clone(), None));
    }
    let device = state.device_mut(&address)?;
    let proof = device.proof.clone();
    Some(device.bundle.give(jid.clone(), Some(proof)))
}

/// Who has an account, what their second names and devices are.
fn usync(state: &mut State, query: &Node) -> Result<Node> {
    let usync = query.get_optional_child("usync").context("nothing asked")?;
    let wanted: Vec<&str> = usync
        .get_optional_child("query")
        .map(children)
        .unwrap_or_default()
        .iter()
        .map(|protocol| protocol.tag.as_ref())
        .collect();
    let asked = usync.get_optional_child("list").map(children);
    let mut users = Vec::new();
    for user in asked.unwrap_or_default() {
        let typed = user.get_optional_child("contact").and_then(content);
        let typed = typed.map(String::from_utf8_lossy);
        let jid = match (jid(user, "jid"), &typed) {
            (Some(jid), _) => jid,
            (None, Some(number)) => Jid::pn(number.trim_start_matches('+')),
            (None, None) => continue,
        };
        if let Some(user) = found(state, &jid, typed.as_deref(), &wanted)? {
            users.push(user);
        }
    }
    let list = NodeBuilder::new("list").children(users).build();
    Ok(NodeBuilder::new("usync").children([list]).build())
}

fn found(state: &mut State, jid: &Jid, typed: Option<&str>, wanted: &[&str]) -> Result<Option<Node>> {
    let Some(address) = Address::of(jid) else {
        return Ok(None);
    };
    let mut answers = Vec::new();
    let account = state.account(&address.phone).ok();
    if wanted.contains(&"contact") {
        let kind = if account.is_some() { "in" } else { "out" };
        let contact = NodeBuilder::new("contact").attr("type", kind);
        let typed = typed.map(|typed| typed.as_bytes().to_vec());
        answers.push(contact.bytes(typed.unwrap_or_default()).build());
    }
    if let Some(account) = account {
        if wanted.contains(&"lid") {
            let lid = account.address.lid();
            answers.push(NodeBuilder::new("lid").attr("val", lid).build());
        }
        if wanted.contains(&"devices") {
            let ids = std::iter::once(0).chain(account.devices.keys().copied());
            let devices = ids.map(|id| {
                let device = NodeBuilder::new("device").attr("id", id);
                match id {
                    0 => device.build(),
                    _ => device.attr("key-index", id).build(),
                }
            });
            let list = NodeBuilder::new("device-list").children(devices);
            let indexes = NodeBuilder::new("key-index-list")
                .attr("ts", now())
                .bytes(account.key_indexes()?);
            let devices = NodeBuilder::new("devices").children([list.build(), indexes.build()]);
            answers.push(devices.build());
        }
    } else if answers.is_empty() {
        return Ok(None);
    }
    let user = NodeBuilder::new("user").attr("jid", jid.to_non_ad());
    Ok(Some(user.children(answers).build()))
}

/// The account's settings, kept in collections: always empty, whatever is put in.
fn collections(query: &Node) -> Result<Node> {
    let sync = query.get_optional_child("sync").context("nothing asked")?;
    let collections = children(sync).iter().map(|collection| {
        NodeBuilder::new("collection")
            .attr("name", attr(collection, "name").unwrap_or_default())
            .attr("version", attr(collection, "version").unwrap_or_default())
            .build()
    });
    Ok(NodeBuilder::new("sync").children(collections).build())
}
