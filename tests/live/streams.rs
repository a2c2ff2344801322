//! `StreamsGroupHeartbeat` (KIP-1071), which the codec does not have: enough of version 0 to be a
//! member of a streams group without a Streams application.

use bytes::{BufMut, Bytes, BytesMut};

const API_KEY: i16 = 88;
const VERSION: i16 = 0;
const NULL: i8 = -1;
const PRESENT: i8 = 1;

/// A frame without its length.
pub(super) fn heartbeat(group: &str, member: &str, epoch: i32, topic: &str) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_i16(API_KEY);
    frame.put_i16(VERSION);
    frame.put_i32(0); // correlation id
    frame.put_i16(-1); // no client id
    no_tags(&mut frame);
    text(&mut frame, group);
    text(&mut frame, member);
    frame.put_i32(epoch);
    frame.put_i32(0); // epoch of the endpoints
    frame.put_u8(0); // no instance id
    frame.put_u8(0); // no rack
    frame.put_i32(60_000); // time to rebalance in

    // A member that joins sends its topology and tasks; one that leaves does not.
    if epoch == 0 {
        frame.put_i8(PRESENT);
        topology(&mut frame, topic);
        (0..3).for_each(|_| array(&mut frame, 0)); // no active, standby or warm-up tasks
        text(&mut frame, "00000000-0000-0000-0000-000000000001"); // the process
    } else {
        frame.put_i8(NULL);
        (0..3).for_each(|_| frame.put_u8(0));
        frame.put_u8(0);
    }

    frame.put_i8(NULL); // no endpoint
    (0..3).for_each(|_| frame.put_u8(0)); // no tags of the client, no offsets of tasks
    frame.put_u8(0); // do not shut down
    no_tags(&mut frame);

    frame.to_vec()
}

/// One subtopology that reads one topic.
fn topology(frame: &mut BytesMut, topic: &str) {
    frame.put_i32(1); // epoch
    array(frame, 1);
    text(frame, "0");
    array(frame, 1);
    text(frame, topic);
    (0..5).for_each(|_| array(frame, 0)); // no patterns, changelogs, repartitions, copartitions
    no_tags(frame);
    no_tags(frame);
}

/// The error code of a response without its length: after the correlation id, the tags of the
/// header and the throttle time.
pub(super) fn error_code(answer: &Bytes) -> i16 {
    i16::from_be_bytes([answer[9], answer[10]])
}

/// A compact string: its length and one, then its bytes.
fn text(frame: &mut BytesMut, it: &str) {
    array(frame, u8::try_from(it.len()).unwrap());
    frame.put_slice(it.as_bytes());
}

/// The head of a compact array of few elements.
fn array(frame: &mut BytesMut, elements: u8) {
    assert!(elements < 127, "a longer length takes two bytes");
    frame.put_u8(elements + 1);
}

fn no_tags(frame: &mut BytesMut) {
    frame.put_u8(0);
}
