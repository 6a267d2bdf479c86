"""`hpcbake promote`: a run that ends after this stage."""

from hpcbake.cli.image_verb import make_image_verb

command = make_image_verb(
    "promote",
    "Make each image the current one on every site.\n\nWhat is missing of delivery and smoke tests is done first.",
)
