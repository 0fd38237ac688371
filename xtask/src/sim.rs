//! The simulator's commands: they build the library's test binary with the profile `sim` and have
//! its one test `sim::commands::command` do the work; src/sim/commands.rs is the other side.

use crate::run::Step;

/// Arguments of a command, with the environment variable that each becomes.
struct Option {
    flag: &'static str,
    variable: &'static str,
    has_value: bool,
}

const fn with_value(flag: &'static str, variable: &'static str) -> Option {
    Option {
        flag,
        variable,
        has_value: true,
    }
}

const SEEDS: Option = with_value("--seeds", "SIM_SEEDS");
const FROM: Option = with_value("--from", "SIM_FROM");
const THREADS: Option = with_value("--threads", "SIM_THREADS");
const PLANT: Option = with_value("--plant", "SIM_PLANT");
const ALL: Option = Option {
    flag: "--all",
    variable: "SIM_ALL",
    has_value: false,
};

/// `cargo xtask sim --seeds N [--from S] [--all] [--threads T] [--plant P]`
pub(crate) fn sim(arguments: &[String]) -> Result<(), String> {
    let environment = parse(arguments, &[SEEDS, FROM, ALL, THREADS, PLANT])?;
    test_binary("sim", &environment)
}

/// `cargo xtask replay SEED|FILE [--all] [--plant P]`
pub(crate) fn replay(arguments: &[String]) -> Result<(), String> {
    let (what, rest) = arguments
        .split_first()
        .filter(|(what, _)| !what.starts_with("--"))
        .ok_or("replay needs a seed, or a file with a scenario")?;
    let mut environment = parse(rest, &[ALL, PLANT])?;
    let is_number = what.bytes().all(|byte| byte.is_ascii_digit());
    let variable = if is_number { "SIM_SEED" } else { "SIM_FILE" };
    if !is_number && !std::path::Path::new(what).is_file() {
        return Err(format!(
            "replay: {what:?} is neither a seed (a number) nor a file"
        ));
    }
    environment.push((variable, what.clone()));
    test_binary("replay", &environment)
}

/// `cargo xtask plants [--from S]... [--seeds N] [--plant P]`
pub(crate) fn plants(arguments: &[String]) -> Result<(), String> {
    let environment = parse(arguments, &[SEEDS, FROM, THREADS, PLANT])?;
    test_binary("plants", &environment)
}

/// `cargo xtask coverage [--seeds N] [--from S]`
pub(crate) fn coverage(arguments: &[String]) -> Result<(), String> {
    let mut environment = parse(arguments, &[SEEDS, FROM, ALL, THREADS])?;
    if !environment.iter().any(|(name, _)| *name == SEEDS.variable) {
        environment.push((SEEDS.variable, "300".to_owned()));
    }
    crate::coverage::coverage(&environment)
}

/// What follows the command as variables; a flag that is given twice has both values, with a comma.
fn parse(arguments: &[String], known: &[Option]) -> Result<Vec<(&'static str, String)>, String> {
    let mut environment: Vec<(&'static str, String)> = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let (flag, inline) = match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let option = known
            .iter()
            .find(|option| option.flag == flag)
            .ok_or_else(|| format!("no such argument: {argument}"))?;
        let value = match (option.has_value, inline) {
            (true, Some(value)) => value,
            (true, None) => arguments
                .next()
                .ok_or_else(|| format!("{flag} needs a value"))?
                .clone(),
            (false, None) => "1".to_owned(),
            (false, Some(_)) => return Err(format!("{flag} takes no value")),
        };
        match environment
            .iter_mut()
            .find(|(name, _)| *name == option.variable)
        {
            Some((_, values)) => {
                values.push(',');
                values.push_str(&value);
            }
            None => environment.push((option.variable, value)),
        }
    }
    Ok(environment)
}

/// The binary is built where it is shown; what the test prints is all that is shown after that.
fn test_binary(command: &str, environment: &[(&'static str, String)]) -> Result<(), String> {
    const BINARY: &str = "test --package kafka-producer --lib --profile sim --features planted";
    Step::cargo(BINARY).arguments("--quiet --no-run").run()?;
    let mut step = Step::cargo(BINARY)
        .arguments("--quiet -- --exact sim::commands::command --nocapture")
        .env("SIM_COMMAND", command);
    for (name, value) in environment {
        step = step.env(name, value);
    }
    step.run_without_time()
}
