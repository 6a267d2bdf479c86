"""`hpcbake smoke`: a run that ends after this stage."""

from hpcbake.cli.image_verb import make_image_verb

command = make_image_verb(
    "smoke",
    "Deliver each image if it is not there yet, then run its smoke tests on compute nodes.",
)
