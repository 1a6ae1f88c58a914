"""What criteria come down to: leaves, by family.

A leaf says what is asked (a frozen struct; equal leaves are one). A family evaluates all leaves of
its kind that a plan has, each of them one line of packed truth.
"""
