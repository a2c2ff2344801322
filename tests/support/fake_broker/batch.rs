//! Record batches (magic 2) as producers write them, but for their checksum.

/// One batch. Its records are any bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FakeBatch<'a> {
    pub(crate) records: i32,
    pub(crate) payload: &'a [u8],
    pub(crate) at: i64,
    pub(crate) producer: i64,
    pub(crate) codec: u8,
}

impl FakeBatch<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let length = i32::try_from(49 + self.payload.len()).unwrap();
        let mut bytes = Vec::new();
        bytes.extend(0_i64.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(0_i32.to_be_bytes());
        bytes.push(2);
        bytes.extend(0_i32.to_be_bytes());
        bytes.extend([0, self.codec]);
        bytes.extend((self.records - 1).to_be_bytes());
        bytes.extend(self.at.to_be_bytes());
        bytes.extend(self.at.to_be_bytes());
        bytes.extend(self.producer.to_be_bytes());
        bytes.extend([0; 2]);
        bytes.extend([0; 4]);
        bytes.extend(self.records.to_be_bytes());

        assert_eq!(bytes.len(), 61);

        bytes.extend(self.payload);

        bytes
    }
}
