"""{{name}}: decides which configuration to try next.

Three times of four it goes from the champion one step down, none, or one step up on each knob, otherwise anywhere
within bounds. It never proposes what has been tried.
"""

from boathouse_sdk import Chance, Configuration, Description, Exhausted

DESCRIPTION = Description(
    name="{{name}}",
    version="0.1.0",
    summary="Mostly one step from the champion, now and then anywhere.",
    reads=("champion", "seed", "settings"),
)

DRAWS = 1000


def propose(context):
    chance = Chance(context.seed)
    tried = {trial.settings for trial in context.trials}
    champion = None if context.champion is None else context.trials[context.champion].settings
    for _ in range(DRAWS):
        near = champion is not None and chance.unit() < 0.75
        if near:
            settings = [knob.moved(value, chance.below(3) - 1) for knob, value in zip(context.knobs, champion)]
        else:
            settings = [knob.draw(chance) for knob in context.knobs]
        if tuple(settings) not in tried:
            return Configuration(settings, "near the champion" if near else "anywhere")
    return Exhausted(f"{DRAWS} draws met only what has been tried")
