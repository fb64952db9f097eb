"""From the interview to the doctor."""
