//! Parses Prometheus's responses. Unknown fields are ignored; values that are not numbers are
//! errors.

use std::time::Duration;

use serde::Deserialize;

use super::{InstantSeries, LabelSet, RangeSeries, SamplePair};
use crate::model::WallTime;

#[derive(Debug)]
pub(super) struct InvalidResponse(pub(super) String);

#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(super) enum ApiResponse {
    Success {
        data: Data,
    },
    Error {
        /// Such as `bad_data`, `execution` or `timeout`.
        #[serde(rename = "errorType")]
        error_type: String,
        error: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum Data {
    Scalar(RawSample),
    Vector(Vec<VectorSeries>),
    Matrix(Vec<MatrixSeries>),
    String(serde::de::IgnoredAny),
}

/// One series of an instant query. A native histogram has no `value`.
#[derive(Debug, Deserialize)]
pub(super) struct VectorSeries {
    metric: LabelSet,
    value: Option<RawSample>,
}

/// One series of a range query. A native histogram has no `values`.
#[derive(Debug, Deserialize)]
pub(super) struct MatrixSeries {
    metric: LabelSet,
    values: Option<Vec<RawSample>>,
}

/// Encoded as `[seconds since 1970, "number"]`.
#[derive(Debug, Deserialize)]
pub(super) struct RawSample(f64, String);

pub(super) fn parse(body: &[u8]) -> Result<ApiResponse, InvalidResponse> {
    serde_json::from_slice(body)
        .map_err(|error| InvalidResponse(format!("not a response of the HTTP API: {error}")))
}

impl RawSample {
    pub(super) fn instant(data: Data) -> Result<Vec<InstantSeries>, InvalidResponse> {
        match data {
            Data::Scalar(value) => {
                Ok(vec![InstantSeries { labels: LabelSet::new(), sample: value.sample()? }])
            }
            Data::Vector(series) => series.into_iter().map(VectorSeries::parse).collect(),
            Data::Matrix(_) => Err(InvalidResponse("expected a vector, got a matrix".to_owned())),
            Data::String(_) => Err(InvalidResponse("expected a vector, got a string".to_owned())),
        }
    }

    pub(super) fn range(data: Data) -> Result<Vec<RangeSeries>, InvalidResponse> {
        match data {
            Data::Matrix(series) => series.into_iter().map(MatrixSeries::parse).collect(),
            Data::Scalar(_) | Data::Vector(_) | Data::String(_) => {
                Err(InvalidResponse("expected a matrix".to_owned()))
            }
        }
    }

    fn sample(&self) -> Result<SamplePair, InvalidResponse> {
        let Self(seconds, number) = self;
        let at =
            Duration::try_from_secs_f64(*seconds).map_err(|it| InvalidResponse(it.to_string()))?;

        // 1.435 s is 1.43499… in binary: round to the millisecond that Prometheus meant.
        let rounded = at.saturating_add(Duration::from_micros(500)).as_millis();
        let at = WallTime(i64::try_from(rounded).map_err(|it| InvalidResponse(it.to_string()))?);
        let value =
            number.parse().map_err(|_| InvalidResponse(format!("`{number}` is not a number")))?;

        Ok(SamplePair { at, value })
    }
}

impl VectorSeries {
    fn parse(self) -> Result<InstantSeries, InvalidResponse> {
        let value = self.value.ok_or_else(native_histogram)?;
        Ok(InstantSeries { labels: self.metric, sample: value.sample()? })
    }
}

impl MatrixSeries {
    fn parse(self) -> Result<RangeSeries, InvalidResponse> {
        let values = self.values.ok_or_else(native_histogram)?;
        let samples = values.iter().map(RawSample::sample).collect::<Result<_, _>>()?;
        Ok(RangeSeries { labels: self.metric, samples })
    }
}

fn native_histogram() -> InvalidResponse {
    InvalidResponse("native histograms are not supported".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn instant(result: &str) -> Result<Vec<InstantSeries>, InvalidResponse> {
        let body = format!(r#"{{"status":"success","data":{result},"warnings":["new"]}}"#);
        let ApiResponse::Success { data } = parse(body.as_bytes()).unwrap() else {
            panic!("not a success: {body}")
        };
        RawSample::instant(data)
    }

    #[test]
    fn numbers_are_parsed_as_prometheus_formats_them() {
        for (text, want) in [("1.5", 1.5), ("+Inf", f64::INFINITY), ("-Inf", f64::NEG_INFINITY)] {
            let result = format!(r#"{{"resultType":"scalar","result":[1.435,"{text}"]}}"#);
            let series = instant(&result).unwrap();
            assert_eq!(series[0].sample, SamplePair { at: WallTime(1_435), value: want });
        }
        let series = instant(r#"{"resultType":"scalar","result":[1,"NaN"]}"#).unwrap();

        assert!(series[0].sample.value.is_nan());
    }

    #[test]
    fn a_value_that_is_not_a_number_is_an_error() {
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
