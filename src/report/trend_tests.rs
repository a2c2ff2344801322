//! Trends of series that are made up: rising, flat, noisy, with a daily wave, with gaps.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

const END: WallTime = WallTime(1_767_323_045_006);

/// One peak a day, the last one today.
fn peaks(values: &[f64]) -> Vec<DailyPeak> {
    let last = u32::try_from(values.len()).unwrap() - 1;
    let peak = |(index, value): (u32, &f64)| DailyPeak { days_ago: last - index, value: *value };

    (0..).zip(values).map(peak).collect()
}

fn trend(values: &[f64]) -> Option<Trend> {
    Trend::of(&peaks(values))
}

fn is(found: f64, want: f64) -> bool {
    (found - want).abs() < 1e-9
}

/// One value an hour for so many days, from the hours since the first one.
fn hours(days: u32, value: impl Fn(f64) -> f64) -> Vec<HourlyValue> {
    let number = days * 24;
    let hour = |it: u32| HourlyValue {
        at: END.before(Duration::from_hours(u64::from(number - 1 - it))),
        value: value(f64::from(it)),
    };

    (0..number).map(hour).collect()
}

/// About a normal distribution with a deviation of 1.
fn noise(random: &mut StdRng) -> f64 {
    (0..12).map(|_| random.random_range(0.0..1.0)).sum::<f64>() - 6.0
}

#[test]
fn a_rising_line_is_found_exactly() {
    let found = trend(&[10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0]).unwrap();

    assert!(is(found.per_day, 2.0) && is(found.now, 22.0), "{found:?}");
    assert!(is(found.per_day_low, 2.0) && is(found.per_day_high, 2.0), "{found:?}");
    assert!(found.is_growth() && is(found.at(-6.0), 10.0), "{found:?}");

    let until = found.days_until(30.0).unwrap();
    assert!(is(until.earliest, 4.0) && is(until.expected.unwrap(), 4.0), "{until:?}");
    assert!(is(until.latest.unwrap(), 4.0), "{until:?}");
    assert!(is(found.days_until(5.0).unwrap().earliest, 0.0));
}

#[test]
fn one_odd_day_does_not_move_the_line() {
    let found = trend(&[10.0, 11.0, 12.0, 900.0, 14.0, 15.0, 16.0, 17.0]).unwrap();

    assert!(is(found.per_day, 1.0) && is(found.now, 17.0), "{found:?}");
}

#[test]
fn bounds_are_those_of_sen() {
    // Ten days: 45 slopes, and a deviation of 11.18; ranks 11 and 34 of the sorted slopes. Each
    // day is as far from the line as the one before, but on the other side.
    let values = [1.0, 3.0, 2.0, 5.0, 4.0, 6.0, 8.0, 7.0, 10.0, 9.0];
    let found = trend(&values).unwrap();
    let days: Vec<Day> =
        (0..10).zip(values).map(|(at, value)| Day { at: f64::from(at), value }).collect();
    let sorted = slopes(&days);

    assert_eq!(sorted.len(), 45);
    assert!(is(found.per_day_low, sorted[10]), "{found:?}");
    assert!(is(found.per_day_high, sorted[34]), "{found:?}");
    assert!(found.is_growth() && found.per_day_low < found.per_day, "{found:?}");
}

#[test]
fn what_does_not_grow_reaches_no_level() {
    let flat = trend(&[5.0; 20]).unwrap();
    assert!(!flat.is_growth() && is(flat.per_day, 0.0), "{flat:?}");
    assert_eq!(flat.days_until(10.0), None);

    let unsure = trend(&[5.0, 4.0, 5.0, 6.0, 5.0, 4.0, 6.0]).unwrap();
    assert!(!unsure.is_growth(), "{unsure:?}");
    assert!(unsure.days_until(10.0).is_none_or(|it| it.latest.is_none()));

    let falling = trend(&[9.0, 8.0, 7.0, 6.0, 5.0]).unwrap();
    assert_eq!(falling.days_until(10.0), None);
}

#[test]
fn too_few_days_have_no_trend() {
    assert_eq!(trend(&[1.0, 2.0, 3.0, 4.0]), None);
    assert_eq!(trend(&[1.0, 2.0, f64::NAN, 3.0, 4.0]), None);
    assert_eq!(trend(&[1.0, 2.0, f64::INFINITY, 3.0, 4.0]), None);
    assert_eq!(Trend::of(&[]), None);
}

#[test]
fn a_daily_wave_is_no_growth_and_hides_none() {
    let wave = |hour: f64| 100.0 + 40.0 * (hour / 24.0 * std::f64::consts::TAU).sin();
    let flat = daily_peaks(&hours(30, wave), END);

    assert_eq!(flat.len(), 30);
    assert!(!Trend::of(&flat).unwrap().is_growth());

    // 2 a day, under a wave of 80.
    let rising = daily_peaks(&hours(30, |it| wave(it) + it / 12.0), END);
    let found = Trend::of(&rising).unwrap();

    assert!((found.per_day - 2.0).abs() < 0.05 && found.is_growth(), "{found:?}");
}

#[test]
fn gaps_are_no_quiet_days() {
    let mut known = hours(30, |hour| 50.0 + hour / 24.0);
    let day = |it: &HourlyValue| END.since(it.at).as_secs() / 86_400;

    // Ten days are lost, and of three others only the first hours are known.
    known.retain(|it| !(10..20).contains(&day(it)));
    known.retain(|it| !(3..6).contains(&day(it)) || END.since(it.at).as_secs() % 86_400 > 50_400);

    let days = daily_peaks(&known, END);
    let ago: Vec<u32> = days.iter().map(|it| it.days_ago).collect();

    assert_eq!(ago, [29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 9, 8, 7, 6, 2, 1, 0]);

    let found = Trend::of(&days).unwrap();
    assert!((found.per_day - 1.0).abs() < 1e-6, "{found:?}");
    assert!((found.now - days.last().unwrap().value).abs() < 1e-6, "{found:?}");
}

/// The share of 400 made-up months in which a trend of 0 is called growth.
fn false_growth(carried: f64) -> f64 {
    let mut random = StdRng::seed_from_u64(7);
    let month = |random: &mut StdRng| {
        let mut swing = 0.0;
        let mut day = || {
            swing = carried * swing + noise(random);
            100.0 + swing
        };
        let values: Vec<f64> = (0..30).map(|_| day()).collect();

        trend(&values).unwrap().is_growth()
    };

    let found = (0..400).filter(|_| month(&mut random)).count();

    count(found) / 400.0
}

#[test]
fn noise_is_seldom_called_growth() {
    // One bound of 97.5 %.
    assert!(false_growth(0.0) < 0.04, "{}", false_growth(0.0));
    assert!(false_growth(0.5) < 0.08, "{}", false_growth(0.5));
}

#[test]
fn a_noisy_rise_lies_within_the_bounds() {
    let mut random = StdRng::seed_from_u64(8);
    let mut within = 0_usize;

    for _ in 0..400 {
        let values: Vec<f64> =
            (0..30).map(|it| f64::from(it) * 0.5 + 3.0 * noise(&mut random)).collect();
        let found = trend(&values).unwrap();
        within += usize::from((found.per_day_low..=found.per_day_high).contains(&0.5));
    }

    assert!(count(within) / 400.0 > 0.92, "{within}");
}

#[test]
fn days_until_are_ordered_and_never_negative() {
    let mut random = StdRng::seed_from_u64(9);
    for _ in 0..2000 {
        let slope = random.random_range(-2.0..2.0);
        let days = random.random_range(5..60);
        let values: Vec<f64> =
            (0..days).map(|it| 50.0 + slope * f64::from(it) + 5.0 * noise(&mut random)).collect();
        let level = random.random_range(-100.0..300.0);
        let Some(until) = trend(&values).unwrap().days_until(level) else { continue };

        let expected = until.expected.unwrap_or(f64::INFINITY);
        let latest = until.latest.unwrap_or(f64::INFINITY);

        assert!(0.0 <= until.earliest && until.earliest <= expected, "{until:?}");
        assert!(expected <= latest && !latest.is_nan(), "{until:?}");
    }
}
