"""The facts that a support desk would ask for, about this machine and about an account at a site. Changes nothing.

A fact is a `Line` of `hpcbake.sites.examine`: what was looked at, ok or warn or FAIL, what was found, how to mend it.
"""

from hpcbake.doctor.bounded import Question, ask_all
from hpcbake.doctor.document import Diagnosis, diagnosis_as_json, render_doctor_schema
from hpcbake.doctor.machine import Folders, machine_questions
from hpcbake.doctor.ports import Machine, Room
from hpcbake.doctor.registries import registry_questions
from hpcbake.doctor.site import diagnose_site

__all__ = [
    "Diagnosis",
    "Folders",
    "Machine",
    "Question",
    "Room",
    "ask_all",
    "diagnose_site",
    "diagnosis_as_json",
    "machine_questions",
    "registry_questions",
    "render_doctor_schema",
]
