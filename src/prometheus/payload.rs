//! Prometheus's answers. Lenient to new fields; a kind of value that is not a number is an error.

use std::time::Duration;

use serde::Deserialize;

use super::{InstantSeries, Labels, RangeSeries, Sample};
use crate::model::WallTime;

/// What is wrong with an answer.
#[derive(Debug)]
pub(super) struct InvalidResponse(pub(super) String);

/// The outermost object.
#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(super) enum ApiResponse {
    Success {
        data: Data,
    },
    /// Not evaluated.
    Error {
        /// `bad_data`, `execution`, `timeout`, …
        #[serde(rename = "errorType")]
        error_type: String,
        error: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum Data {
    /// Of a query that ends in a number without labels.
    Scalar(RawSample),
    Vector(Vec<VectorSeries>),
    Matrix(Vec<MatrixSeries>),
    /// Of a query that is a literal text.
    String(serde::de::IgnoredAny),
}

/// A series with one value. A native histogram has none.
#[derive(Debug, Deserialize)]
pub(super) struct VectorSeries {
    metric: Labels,
    value: Option<RawSample>,
}

/// A series with many values. A native histogram has none.
#[derive(Debug, Deserialize)]
pub(super) struct MatrixSeries {
    metric: Labels,
    values: Option<Vec<RawSample>>,
}

/// `[seconds, "number"]`.
#[derive(Debug, Deserialize)]
pub(super) struct RawSample(f64, String);

pub(super) fn read(body: &[u8]) -> Result<ApiResponse, InvalidResponse> {
    serde_json::from_slice(body).map_err(|error| InvalidResponse(format!("not its API: {error}")))
}

impl RawSample {
    /// The series of an instant query.
    pub(super) fn instant(data: Data) -> Result<Vec<InstantSeries>, InvalidResponse> {
        match data {
            Data::Scalar(value) => {
                Ok(vec![InstantSeries { labels: Labels::new(), sample: value.sample()? }])
            }
            Data::Vector(series) => series.into_iter().map(VectorSeries::read).collect(),
            Data::Matrix(_) => Err(InvalidResponse("a range where one value was asked".to_owned())),
            Data::String(_) => Err(InvalidResponse("a text instead of numbers".to_owned())),
        }
    }

    /// The series of a range query.
    pub(super) fn range(data: Data) -> Result<Vec<RangeSeries>, InvalidResponse> {
        match data {
            Data::Matrix(series) => series.into_iter().map(MatrixSeries::read).collect(),
            Data::Scalar(_) | Data::Vector(_) | Data::String(_) => {
                Err(InvalidResponse("no range where one was asked".to_owned()))
            }
        }
    }

    fn sample(&self) -> Result<Sample, InvalidResponse> {
        let Self(seconds, number) = self;
        let at =
            Duration::try_from_secs_f64(*seconds).map_err(|it| InvalidResponse(it.to_string()))?;
        // 1.435 s is 1.43499… in binary: round to the millisecond, as Prometheus meant it.
        let rounded = at.saturating_add(Duration::from_micros(500)).as_millis();
        let at = WallTime(i64::try_from(rounded).map_err(|it| InvalidResponse(it.to_string()))?);
        let value =
            number.parse().map_err(|_| InvalidResponse(format!("`{number}` is no number")))?;
        Ok(Sample { at, value })
    }
}

impl VectorSeries {
    fn read(self) -> Result<InstantSeries, InvalidResponse> {
        let value = self.value.ok_or_else(histogram)?;
        Ok(InstantSeries { labels: self.metric, sample: value.sample()? })
    }
}

impl MatrixSeries {
    fn read(self) -> Result<RangeSeries, InvalidResponse> {
        let values = self.values.ok_or_else(histogram)?;
        let samples = values.iter().map(RawSample::sample).collect::<Result<_, _>>()?;
        Ok(RangeSeries { labels: self.metric, samples })
    }
}

fn histogram() -> InvalidResponse {
    InvalidResponse("a native histogram instead of numbers".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn instant(result: &str) -> Result<Vec<InstantSeries>, InvalidResponse> {
        let body = format!(r#"{{"status":"success","data":{result},"warnings":["new"]}}"#);
        let ApiResponse::Success { data } = read(body.as_bytes()).unwrap() else {
            panic!("not a success")
        };
        RawSample::instant(data)
    }

    #[test]
    fn numbers_are_read_as_prometheus_writes_them() {
        for (text, want) in [("1.5", 1.5), ("+Inf", f64::INFINITY), ("-Inf", f64::NEG_INFINITY)] {
            let result = format!(r#"{{"resultType":"scalar","result":[1.435,"{text}"]}}"#);
            let series = instant(&result).unwrap();
            assert_eq!(series[0].sample, Sample { at: WallTime(1_435), value: want });
        }
        let series = instant(r#"{"resultType":"scalar","result":[1,"NaN"]}"#).unwrap();
        assert!(series[0].sample.value.is_nan());
    }

    #[test]
    fn what_is_no_number_is_an_error_and_not_left_out() {
        for result in [
            r#"{"resultType":"string","result":[1,"x"]}"#,
            r#"{"resultType":"scalar","result":[1,"x"]}"#,
            r#"{"resultType":"scalar","result":[-1,"1"]}"#,
            r#"{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}"#,
            r#"{"resultType":"matrix","result":[]}"#,
        ] {
            assert!(instant(result).is_err(), "{result}");
        }
    }
}
