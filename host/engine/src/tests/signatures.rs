//! Signed modules: none that was changed after it was signed loads.

use std::sync::Arc;

use super::hostile::{self, KEEP};
use super::{engine, spec};
use crate::{Engine, FilterSpec, PrivateKey, PublicKey, TrustedKeys, signer};

/// The length of a signature.
const SECTION: usize = 114;

fn key() -> PrivateKey {
    PrivateKey::random().unwrap()
}

fn trusting(keys: &[&PrivateKey]) -> FilterSpec {
    let keys = keys.iter().map(|key| key.public()).collect();
    FilterSpec { trusted: Some(Arc::new(TrustedKeys { keys, built_in: Vec::new() })), ..spec("signed") }
}

fn refusal(engine: &Arc<Engine>, spec: &FilterSpec, module: &[u8]) -> String {
    engine.load(spec, module).map_or_else(|error| error.to_string(), |_| "loaded".to_owned())
}

#[test]
fn only_modules_signed_by_a_trusted_key_load_and_errors_say_what_to_do() {
    let (engine, ours, other) = (engine(), key(), key());
    let module = hostile::module(KEEP);
    let signed = ours.sign(&module);
    assert_eq!(signed.len(), module.len() + SECTION);
    assert_eq!(signer(&signed), Some(Ok(ours.public())));
    let spec = trusting(&[&other, &ours]);
    let filter = engine.load(&spec, &signed).unwrap();
    assert_eq!(filter.name(), "signed");
    // Without trusted keys, a signature changes nothing.
    engine.load(&super::spec("any"), &signed).unwrap();
    engine.load(&super::spec("any"), &module).unwrap();
    for (module, expected) in [
        (module.clone(), "has no signature"),
        (other.sign(&module), "loaded"),
        (key().sign(&module), "which is not one of `trusted_keys`"),
        ([&signed[..], b"\0\x02\x01x"].concat(), "has no signature"),
        ([&signed[..100], &[signed[100] ^ 1], &signed[101..]].concat(), "was changed after"),
        (Vec::new(), "has no signature"),
    ] {
        let error = refusal(&engine, &spec, &module);
        assert!(error.contains(expected), "{error}");
    }
    assert!(refusal(&engine, &spec, &module).contains("weir filter sign"));
    // To sign again replaces the signature.
    assert_eq!(other.sign(&signed).len(), signed.len());
    assert_eq!(signer(&other.sign(&signed)), Some(Ok(other.public())));
    let built_in = TrustedKeys { keys: Vec::new(), built_in: vec![crate::digest(&module)] };
    let spec = FilterSpec { trusted: Some(Arc::new(built_in)), ..super::spec("built-in") };
    engine.load(&spec, &module).unwrap();
    assert!(refusal(&engine, &spec, &signed).contains("trusted_keys"), "not the same module");
}

#[test]
fn keys_are_read_as_they_are_written() {
    let private = key();
    let again: PrivateKey = format!("{}\n", private.expose()).parse().unwrap();
    assert_eq!((again.expose(), again.public()), (private.expose(), private.public()));
    let text = private.public().to_string();
    assert_eq!(text.parse(), Ok(private.public()));
    for wrong in ["", "ed25519:", &text[1..], &text[..71], &format!("{text}0"), &text.replace(':', ":+")] {
        assert!(wrong.parse::<PublicKey>().is_err(), "{wrong}");
        assert!(wrong.parse::<PrivateKey>().is_err(), "{wrong}");
    }
}

/// The offset and length of every section, with its head.
fn sections(module: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 8;
    while at < module.len() {
        let (mut size, mut shift, mut next) = (0, 0, at + 1);
        loop {
            size |= usize::from(module[next] & 0x7f) << shift;
            shift += 7;
            next += 1;
            if module[next - 1] & 0x80 == 0 {
                break;
            }
        }
        found.push((at, next + size - at));
        at = next + size;
    }
    found
}

/// Changes a module in one of the ways that somebody without the key has.
fn mutate(module: &[u8], other: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut changed = module.to_vec();
    // Half of the places are in the signature, where a change may matter least.
    let place = |random: &mut fastrand::Rng| match random.bool() {
        true => random.usize(..module.len()),
        false => module.len() - 1 - random.usize(..SECTION),
    };
    let at = place(random);
    match random.u8(..10) {
        0..3 => changed[at] ^= 1 << random.u8(..8),
        3 => changed[at] = random.u8(..),
        4 => changed.insert(at, random.u8(..)),
        5 => drop(changed.remove(at)),
        6 => changed.truncate(at),
        7 => {
            // Bytes, a whole section, or a second signature, of this or of another module.
            let signature = &[module, other][random.usize(..2)];
            match random.u8(..4) {
                0 => changed.extend((0..random.usize(1..200)).map(|_| random.u8(..))),
                1 => changed.extend(b"\0\x02\x01x"),
                2 => changed.extend(&signature[signature.len() - SECTION..]),
                _ => drop(changed.splice(8..8, signature[signature.len() - SECTION..].iter().copied())),
            }
        }
        8 => {
            // Two neighbouring sections in another order, or one twice.
            let all = sections(module);
            let first = random.usize(..all.len() - 1);
            let [(one, one_len), (two, two_len)] = [all[first], all[first + 1]];
            let (a, b) = (&module[one..one + one_len], &module[two..two + two_len]);
            let swapped = if random.bool() { [b, a].concat() } else { [a, b, b].concat() };
            changed.splice(one..two + two_len, swapped);
        }
        _ => {
            // The signature of another module, or a part of it.
            let from = changed.len() - random.usize(1..=SECTION);
            let length = changed.len() - from;
            changed[from..].copy_from_slice(&other[other.len() - length..]);
        }
    }
    changed
}

#[test]
fn of_ten_thousand_changed_modules_none_loads() {
    let (engine, ours) = (engine(), key());
    let signed = ours.sign(&hostile::module(KEEP));
    let other = ours.sign(&hostile::module(hostile::DROP));
    let spec = trusting(&[&ours]);
    engine.load(&spec, &signed).unwrap();
    let mut random = fastrand::Rng::with_seed(20_261_130);
    let (mut tried, mut with_signature) = (0, 0);
    while tried < 10_000 {
        let changed = mutate(&signed, &other, &mut random);
        if changed == signed || changed == other {
            continue;
        }
        tried += 1;
        // `load` checks the signature before anything else, so this is what decides, and it is fast.
        let refused = spec.trusted.as_ref().unwrap().check(&changed);
        assert!(refused.is_err(), "{changed:x?}");
        if signer(&changed).is_some() {
            with_signature += 1;
            if with_signature % 100 == 0 {
                let error = refusal(&engine, &spec, &changed);
                assert!(error.contains("trusted_keys") || error.contains("after it was signed"), "{error}");
            }
        }
    }
    // Many still look signed, so the signature itself decided.
    assert!(with_signature > 2_000, "{with_signature}");
}
