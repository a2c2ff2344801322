//! The verdict: compares the medians of baseline and observation with the noise of the baseline and
//! the load of both (I24, ADR 0019). Pure.

use crate::{
    model::Verdict,
    playbook::{Better, Objective, SAMPLES_MIN},
    store::Measurement,
};

/// Relative change of the load, up or down, that explains a difference by itself.
const LOAD_CHANGE_MAX: f64 = 0.2;

/// Maximum ratio of the load after to the load before. Above it there was almost no load before,
/// and its few requests prove nothing about the many after: the first requests of a broker that has
/// just started are its slowest. Clients that wait for each answer send more requests by at most
/// the factor by which the answers are faster (Little's law); the change itself may have caused a
/// rise up to there.
const LOAD_RATIO_MAX: f64 = 10.0;

/// A difference of up to this many median absolute deviations of the baseline is noise.
const NOISE_FACTOR: f64 = 2.0;

const FEW: &str = "too few samples before or after";

/// The objective improved while the load fell, or got worse while it rose.
const LOAD_ALONE: &str = "the load alone may have made the difference";

/// The middle value, or the mean of the two middle ones. `None` without values.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get((sorted.len() / 2).checked_sub(1)?)?;

    Some(f64::midpoint(lower, upper))
}

/// The median absolute deviation from the median.
pub(super) fn deviation(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let distances: Vec<f64> = values.iter().map(|it| (it - middle).abs()).collect();
    median(&distances)
}

/// Compares the observation with the baseline in `measured`, and stores the result there.
///
/// # Errors
///
/// Why the verdict is `inconclusive`.
pub(super) fn judge(
    measured: &mut Measurement,
    observed: &[f64],
    observed_load: &[f64],
    objective: &Objective,
) -> Result<Verdict, &'static str> {
    measured.observed_median = median(observed);

    measured.load_change = match (measured.baseline_load, median(observed_load)) {
        (Some(before), Some(after)) => relative(before, after),
        _ => None,
    };

    let medians = (measured.baseline_median, measured.observed_median);
    let (Some(before), Some(after)) = medians else { return Err(FEW) };
    let samples_min = usize::from(SAMPLES_MIN);
    if observed.len() < samples_min || measured.baseline.len() < samples_min {
        return Err(FEW);
    }

    let gain = match objective.better {
        Better::Lower => before - after,
        Better::Higher => after - before,
    };
    // A baseline of 0 has no relative change: count any difference as 100 %.
    let effect = if before == 0.0 {
        gain.signum() * f64::from(u8::from(gain != 0.0))
    } else {
        gain / before.abs()
    };
    measured.effect = Some(effect);

    let noise = NOISE_FACTOR * measured.baseline_mad.unwrap_or(0.0);
    if effect.abs() < objective.at_least || gain.abs() <= noise {
        return Ok(Verdict::Neutral);
    }

    let change = measured.load_change.ok_or("the load is unknown, or rose from 0")?;
    if effect < 0.0 {
        return if change > LOAD_CHANGE_MAX { Err(LOAD_ALONE) } else { Ok(Verdict::Regressed) };
    }

    let better = match objective.better {
        Better::Lower => before / after,
        Better::Higher => after / before,
    };
    if change < -LOAD_CHANGE_MAX {
        Err(LOAD_ALONE)
    } else if 1.0 + change > LOAD_RATIO_MAX.max(better) {
        Err("there was almost no load before, which proves nothing about the load after")
    } else {
        Ok(Verdict::Improved)
    }
}

fn relative(before: f64, after: f64) -> Option<f64> {
    if before == 0.0 {
        (after == 0.0).then_some(0.0)
    } else {
        Some((after - before) / before.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::Template;

    type Judged = (Result<Verdict, &'static str>, Measurement);

    fn judged(before: &[f64], after: &[f64], load_before: Option<f64>, load_after: f64) -> Judged {
        let objective =
            Objective { query: Template::new("up").unwrap(), better: Better::Lower, at_least: 0.2 };
        let mut measured = Measurement {
            baseline: before.to_vec(),
            baseline_median: median(before),
            baseline_mad: deviation(before),
            baseline_load: load_before,
            ..Measurement::default()
        };
        (judge(&mut measured, after, &[load_after; 6], &objective), measured)
    }

    #[track_caller]
    fn check(before: &[f64], after: &[f64], loads: [f64; 2], want: Verdict) -> Measurement {
        let [load_before, load_after] = loads;
        let (verdict, measured) = judged(before, after, Some(load_before), load_after);
        assert_eq!(verdict.unwrap_or(Verdict::Inconclusive), want, "{measured:?}");
        measured
    }

    #[test]
    fn i24_medians_decide_and_one_spike_does_not() {
        let before = [100.0, 101.0, 99.0, 100.0, 900.0, 100.0];
        check(&before, &[50.0; 6], [10.0, 10.0], Verdict::Improved);
        check(&before, &[95.0, 96.0, 94.0, 95.0, 0.1, 95.0], [10.0, 10.0], Verdict::Neutral);
        check(&before, &[150.0; 6], [10.0, 10.0], Verdict::Regressed);
    }

    #[test]
    fn i24_a_difference_within_the_noise_of_the_baseline_is_neutral() {
        let noisy = [10.0, 200.0, 20.0, 190.0, 30.0, 180.0, 100.0];
        check(&noisy, &[60.0; 6], [10.0, 10.0], Verdict::Neutral);
    }

    #[test]
    fn i24_fewer_than_six_samples_on_a_side_are_inconclusive() {
        check(&[100.0; 6], &[50.0; 5], [10.0, 10.0], Verdict::Inconclusive);
        check(&[100.0; 5], &[50.0; 6], [10.0, 10.0], Verdict::Inconclusive);
        check(&[100.0; 6], &[], [10.0, 10.0], Verdict::Inconclusive);
    }

    #[test]
    fn i24_load_makes_a_verdict_inconclusive_only_if_it_explains_the_difference() {
        check(&[100.0; 6], &[50.0; 6], [10.0, 7.0], Verdict::Inconclusive);
        check(&[100.0; 6], &[50.0; 6], [10.0, 20.0], Verdict::Improved);
        check(&[100.0; 6], &[150.0; 6], [10.0, 20.0], Verdict::Inconclusive);
        check(&[100.0; 6], &[150.0; 6], [10.0, 7.0], Verdict::Regressed);
        check(&[100.0; 6], &[100.0; 6], [10.0, 1.0], Verdict::Neutral);
    }

    #[test]
    fn i24_almost_no_load_before_is_inconclusive() {
        check(&[100.0; 6], &[50.0; 6], [10.0, 99.0], Verdict::Improved);
        check(&[100.0; 6], &[50.0; 6], [10.0, 101.0], Verdict::Inconclusive);

        // The rise that clients make which wait for their answers, and a larger one.
        check(&[100.0; 6], &[2.0; 6], [10.0, 499.0], Verdict::Improved);
        check(&[100.0; 6], &[2.0; 6], [10.0, 501.0], Verdict::Inconclusive);
        check(&[100.0; 6], &[0.0; 6], [10.0, 501.0], Verdict::Improved);

        check(&[100.0; 6], &[50.0; 6], [0.0, 10.0], Verdict::Inconclusive);
    }

    #[test]
    fn i24_an_inconclusive_verdict_says_why() {
        let why = |after, load_before, load_after| {
            judged(&[100.0; 6], &[after; 6], load_before, load_after).0.unwrap_err()
        };
        assert!(why(50.0, None, 10.0).contains("unknown"));

        assert_eq!(why(50.0, Some(10.0), 7.0), LOAD_ALONE);
        assert_eq!(why(150.0, Some(10.0), 20.0), LOAD_ALONE);
        assert!(why(50.0, Some(10.0), 200.0).contains("almost no load"));
        assert_eq!(judged(&[100.0; 6], &[50.0; 5], Some(10.0), 10.0).0, Err(FEW));
    }

    #[test]
    fn the_numbers_behind_the_verdict_are_stored() {
        let measured = check(&[100.0; 6], &[50.0; 6], [10.0, 11.0], Verdict::Improved);
        assert_eq!(measured.effect, Some(0.5));
        assert!((measured.load_change.unwrap() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn a_baseline_of_zero_can_only_get_worse() {
        check(&[0.0; 6], &[0.0; 6], [1.0, 1.0], Verdict::Neutral);
        check(&[0.0; 6], &[5.0; 6], [1.0, 1.0], Verdict::Regressed);
    }
}
