"""CONDUCTOR: the only place where stages meet.

`study` opens a study folder, `study_run` wires the stages for one subject, `conductor` runs each step once and writes its
receipt,
`views` gathers what the report shows, `why` walks a number back to its DICOM instances.
"""
